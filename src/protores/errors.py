"""Every error a user can cause, each message one line that ends with the cure.

ProtoresError                 the command line prints its message and exits with code 2
├── DataError                 a folder, an image, a mask, a layout
│   └── UnreadableImage       one file that cannot be decoded
├── SplitError                more seen defects than there are, kinds that do not exist, leaks
├── SettingsError             an unknown preset or key, a value out of range, a contradiction
├── SizeError                 an input size that the network cannot divide
├── WeightsError              a weights file that is missing or fits nothing
├── RunError                  a run folder that exists, is incomplete, or cannot be written
├── BundleError               a bundle that is missing, damaged, changed, or wrongly edited; an export that is refused
├── StationError              a station that cannot start, or whose store cannot be used
├── ClusterError              a Ray cluster that cannot be reached or started, or that fails
└── ArchiveError              an archive's folder that belongs to other work or is damaged, or workers that fail
"""


class ProtoresError(Exception):
    """Base of all errors that are the input's fault and not the program's."""


class DataError(ProtoresError):
    """A folder, image, mask or layout cannot be used as it is."""


class UnreadableImage(DataError):
    """One image file is missing, empty, truncated or not an image."""


class SplitError(ProtoresError):
    """The requested roles cannot be given to the images there are, or an image would leak."""


class SettingsError(ProtoresError):
    """A preset, key or value is unknown, out of range or contradicts another."""


class SizeError(ProtoresError):
    """The input size cannot be divided as the network needs."""


class WeightsError(ProtoresError):
    """A weights file is missing or belongs to another architecture."""


class RunError(ProtoresError):
    """A run folder exists already, is incomplete, or cannot be written."""


class BundleError(ProtoresError):
    """A bundle is missing, damaged, changed or wrongly edited, or cannot be exported as asked."""


class StationError(ProtoresError):
    """A station has no token, port or limits that it could start with, or its store cannot be used."""


class ClusterError(ProtoresError):
    """A Ray cluster cannot be reached or started, or fails."""


class ArchiveError(ProtoresError):
    """The folder of a scored archive belongs to other work or is damaged, or its workers fail."""
