"""The same as `etl.py`, but with an AutoBatcher, which sends each batch as soon as it is full."""

import argparse
import json
import os
from collections.abc import Iterable
from typing import TextIO

from segment_logging import AutoBatcher, Batcher, HttpClient, Message


def send_all(
    client: HttpClient, write_key: str, lines: Iterable[str], dead_letters: TextIO
) -> None:
    """Send each line's message, and write the lines that cannot be sent to `dead_letters`."""
    with AutoBatcher(client, Batcher(), write_key) as batcher:  # sends the last batch at the end
        for line in lines:
            try:
                batcher.push(Message.from_dict(json.loads(line)))
            except ValueError as error:  # not JSON, or InvalidMessage, or MessageTooLarge
                dead_letters.write(json.dumps({"reason": str(error), "line": line}) + "\n")


def main() -> None:
    """Send the file that was passed on the command line."""
    parser = argparse.ArgumentParser(description="Send a file of messages to Segment in batches.")
    parser.add_argument("file", help="a file with one JSON call per line")
    parser.add_argument("--dead-letters", default="dead-letters.jsonl", metavar="FILE")
    options = parser.parse_args()
    client = HttpClient(os.environ.get("SEGMENT_HOST", "https://api.segment.io"))
    with (
        open(options.file, encoding="utf-8") as lines,
        open(options.dead_letters, "a", encoding="utf-8") as dead_letters,
    ):
        send_all(client, os.environ["SEGMENT_WRITE_KEY"], lines, dead_letters)
    client.close()


if __name__ == "__main__":
    main()
