"""Send a file of messages in batches: `python examples/etl.py examples/events.jsonl`.

The file contains one call per line, in Segment's form. A line that can never be delivered, because
it is above 32,000 bytes or because Segment would drop it, is written to a file of dead letters. The
other lines are still sent. If sending fails, the program exits with the error. You can then run it
again, because Segment recognises duplicates by their messageId.
"""

import argparse
import json
import os
from collections.abc import Iterable
from typing import TextIO

from segment_logging import Batcher, HttpClient, Message


def send_all(
    client: HttpClient, write_key: str, lines: Iterable[str], dead_letters: TextIO
) -> None:
    """Send each line's message, and write the lines that cannot be sent to `dead_letters`."""
    batcher = Batcher()
    for line in lines:
        try:
            message = Message.from_dict(json.loads(line))
            left_over = batcher.push(message)
        except ValueError as error:  # not JSON, or InvalidMessage, or MessageTooLarge
            dead_letters.write(json.dumps({"reason": str(error), "line": line}) + "\n")
            continue
        if left_over is not None:  # the batch is full
            client.send(write_key, batcher.take())
            batcher.push(left_over)
    if not batcher.is_empty:
        client.send(write_key, batcher.take())


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
