"""How pytest's workers share the tests."""

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling

# Each worker that ran some of these would start a browser, or database servers, of its own.
WHOLE_FOLDERS = ("tests/voices", "tests/web")


class FolderScheduling(LoadFileScheduling):
    """The tests of a file run in one worker, as with `--dist loadfile`, and those of some folders."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        folder = str(PurePosixPath(file).parent)
        return folder if folder in WHOLE_FOLDERS else file
