"""Send one message without `logging`: `SEGMENT_WRITE_KEY=... python examples/simple.py`.

To send it to another host, for example to `segment-logging collector`, also set SEGMENT_HOST.
"""

import os

from segment_logging import HttpClient, Track, User


def main() -> None:
    """Send a track call and return when Segment has accepted it."""
    client = HttpClient(os.environ.get("SEGMENT_HOST", "https://api.segment.io"))
    client.send(
        os.environ["SEGMENT_WRITE_KEY"],
        Track(
            user=User(user_id="u-1001"),
            event="Report Exported",
            properties={"format": "pdf", "pages": 12},
        ),
    )
    client.close()


if __name__ == "__main__":
    main()
