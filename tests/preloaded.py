"""What tests.fork_server has imported before it forks.

The last two are imported where they are needed first: by the published codec, and by compiled functions.
"""

import gc
from importlib import import_module

MODULES = ("app", "test_voice_cloning", "transformers.models.hubert.modeling_hubert", "numba.typed")

gc.disable()
for name in MODULES:
    import_module(name)
gc.freeze()  # what is imported stays: collecting it would copy its pages
gc.enable()
