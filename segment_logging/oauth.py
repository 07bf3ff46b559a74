"""OAuth 2.0 for sources that require it. This needs `pip install 'segment-logging[oauth]'`.

HttpClient(oauth=OAuth("client id", "key id", "/path/to/private-key.pem"))
"""

from ._client.oauth import OAuth

__all__ = ["OAuth"]
