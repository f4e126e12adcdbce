"""Imports modules that import others, and one that does not exist, for imports.d."""

import json

try:
    import no_such_module
except ImportError:
    pass

print(json.dumps({"imported": "json"}))
