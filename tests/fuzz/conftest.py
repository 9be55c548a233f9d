"""The harnesses are modules beside the tests, since atheris and the long run start them as scripts too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
