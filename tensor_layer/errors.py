"""Everything that can go wrong in the tensor layer.

TensorLayerError
├── UnreadablePart      a part's bytes are not what they claim, damaged, locked or over a limit
├── BlobNotFound        a reference points to nothing
├── BlobTooLarge        an upload passed the limit
├── BlobStoreUnavailable
├── ContentsOfAnother   somebody else removes what is unused in this object store
├── EncoderUnavailable  the encoder's weights are missing or do not fit
│   ├── NobodyAnswers       the perception service is not there just now
│   └── VersionMismatch     the perception service has another encoder than the vectors that are here
├── DeviceFull          one content alone does not fit into the device's memory
├── TensorRefused       an array of a kind that is never stored: objects, pickles, structures, too large
├── TensorDamaged       frames or a file are truncated or altered; nothing of the damaged part is handed out
└── TensorNotFound      no level holds this tensor
"""


class TensorLayerError(Exception):
    """Base of all errors of this package. ``code`` is the word that events and problem JSON carry."""

    code = "tensor_layer_error"


class UnreadablePart(TensorLayerError):
    """A part cannot be decoded. The message says which part, what is wrong and what would be accepted."""

    code = "unreadable_part"

    def __init__(self, index: int, problem: str, next_step: str = "", name: str | None = None) -> None:
        which = f"part {index} ({name})" if name else f"part {index}"
        super().__init__(f"{which}: {problem}" + (f" {next_step}" if next_step else ""))
        self.index = index
        self.problem = problem
        self.next_step = next_step


class BlobNotFound(TensorLayerError):
    """The referenced bytes are not in the object store."""

    code = "attachment_missing"


class BlobTooLarge(TensorLayerError):
    """The bytes pass the configured limit; nothing of them was kept."""

    code = "attachment_too_large"


class BlobStoreUnavailable(TensorLayerError):
    """The object store does not answer or has no room. Try again later."""

    code = "object_store_unavailable"


class ContentsOfAnother(TensorLayerError):
    """Another removes what is unused here, and only one can know what is. The message says what to do about it."""

    code = "contents_of_another"


class EncoderUnavailable(TensorLayerError):
    """An encoder cannot be loaded. The message says what to install or which setting to change."""

    code = "encoder_unavailable"


class NobodyAnswers(EncoderUnavailable):
    """No process answers for the encoder on the bus. Another may be about to start."""


class VersionMismatch(EncoderUnavailable):
    """Vectors of different encoder versions say nothing about each other. The message names both versions."""

    code = "encoder_version_mismatch"


class DeviceFull(TensorLayerError):
    """The device has no memory for this, even alone in its batch. Smaller content, or a smaller model, may fit."""

    code = "device_full"


class TensorRefused(TensorLayerError):
    """The array or file cannot become a tensor. The message says why and what would be accepted."""

    code = "tensor_refused"


class TensorDamaged(TensorLayerError):
    """Stored or received tensor bytes are truncated or altered. The message says where."""

    code = "tensor_damaged"


class TensorNotFound(TensorLayerError):
    """No level of the store and no source holds this tensor."""

    code = "tensor_missing"
