"""`make migrate`: migrate the voice database to the latest version, as the server does at start."""

import sys

from errors import StartError
from settings import database_url, load_settings
from voices.store.voice_store import VoiceStore


def main() -> None:
    try:
        VoiceStore(database_url(load_settings(sys.argv[1:]))).close()
    except StartError as error:
        sys.exit(f"migrate.py: {error}")


if __name__ == "__main__":
    main()
