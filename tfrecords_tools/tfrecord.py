"""The TFRecord file format and the ``SequenceExample`` message, without TensorFlow.

TensorFlow takes up to ten seconds and 400 MB to load, in every process that writes a record; the format needs
neither. A TFRecord file is a run of frames: length of the payload (uint64), its masked CRC-32C (uint32), payload,
its masked CRC-32C; all little-endian.

Sources: tensorflow/core/lib/io/record_writer.h (framing), tensorflow/core/lib/hash/crc32c.h (mask),
tensorflow/core/example/{example,feature}.proto (messages).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

LENGTH_BYTES, CRC_BYTES = 8, 4
HEADER_BYTES = LENGTH_BYTES + CRC_BYTES


class TFRecordError(Exception):
    """A file that is no sound run of records; ``number`` is that of the first bad one, from 0."""

    def __init__(self, number: int, cut_off: bool) -> None:
        super().__init__(f"is cut off within record {number}" if cut_off else f"record {number} is damaged")
        self.number = number


def write_record(file: BinaryIO, record: bytes) -> None:
    """Appends a record to an open file."""
    length = struct.pack("<Q", len(record))
    file.write(length + _masked_crc(length))
    file.write(record)
    file.write(_masked_crc(record))


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file in order, one in memory at a time.

    Raises:
        TFRecordError: a checksum disagrees, or the file ends within a record.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        number = 0
        while header := file.read(HEADER_BYTES):
            length = _checked_length(header, number)
            if file.tell() + length + CRC_BYTES > size:
                raise TFRecordError(number, cut_off=True)
            record = file.read(length)
            if file.read(CRC_BYTES) != _masked_crc(record):
                raise TFRecordError(number, cut_off=False)
            yield record
            number += 1


def count_records(path: Path) -> int:
    """Number of records in a file, found by hopping from header to header without reading payloads.

    Raises:
        TFRecordError: the file ends within a record, or a header is damaged.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        count, position = 0, 0
        while position < size:
            position += HEADER_BYTES + _checked_length(file.read(HEADER_BYTES), count) + CRC_BYTES
            if position > size:
                raise TFRecordError(count, cut_off=True)
            file.seek(position)
            count += 1
    return count


def _checked_length(header: bytes, number: int) -> int:
    if len(header) < HEADER_BYTES:
        raise TFRecordError(number, cut_off=True)
    if header[LENGTH_BYTES:] != _masked_crc(header[:LENGTH_BYTES]):
        raise TFRecordError(number, cut_off=False)
    length: int = struct.unpack("<Q", header[:LENGTH_BYTES])[0]
    return length


def _masked_crc(data: bytes) -> bytes:
    # The CRC of data that holds CRCs is weak; the mask (a rotation and a constant) makes these unlike CRCs.
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


# (message, ((field, number, type), ...)); a type in capitals is a scalar, "map X" maps strings to messages X.
_MESSAGES = (
    ("BytesList", (("value", 1, "BYTES"),)),
    ("FloatList", (("value", 1, "FLOAT"),)),
    ("Int64List", (("value", 1, "INT64"),)),
    ("Feature", (("bytes_list", 1, "BytesList"), ("float_list", 2, "FloatList"), ("int64_list", 3, "Int64List"))),
    ("Features", (("feature", 1, "map Feature"),)),
    ("FeatureList", (("feature", 1, "repeated Feature"),)),
    ("FeatureLists", (("feature_list", 1, "map FeatureList"),)),
    ("SequenceExample", (("context", 1, "Features"), ("feature_lists", 2, "FeatureLists"))),
)


def _message_classes() -> dict[str, Any]:
    """Classes of the messages, in a pool of their own: TensorFlow, where loaded too, registers the same names."""
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    for name, fields in _MESSAGES:
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number, label=field_type.LABEL_OPTIONAL)
            if kind.isupper():
                field.type = getattr(field_type, f"TYPE_{kind}")
                field.label = field_type.LABEL_REPEATED
                continue
            *modifier, type_name = kind.split()
            field.type = field_type.TYPE_MESSAGE
            field.type_name = f".tensorflow.{type_name}"
            if modifier:
                field.label = field_type.LABEL_REPEATED
            if modifier == ["map"]:
                entry = message.nested_type.add(name=f"{field_name.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                optional = field_type.LABEL_OPTIONAL
                entry.field.add(name="key", number=1, type=field_type.TYPE_STRING, label=optional)
                entry.field.add(
                    name="value",
                    number=2,
                    type=field_type.TYPE_MESSAGE,
                    type_name=field.type_name,
                    label=optional,
                )
                field.type_name = f".tensorflow.{name}.{entry.name}"
        if name == "Feature":
            message.oneof_decl.add(name="kind")
            for field in message.field:
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.{name}"))
        for name, _ in _MESSAGES
    }


_CLASSES = _message_classes()
BytesList, FloatList, Int64List = _CLASSES["BytesList"], _CLASSES["FloatList"], _CLASSES["Int64List"]
Feature, FeatureList = _CLASSES["Feature"], _CLASSES["FeatureList"]
Features, FeatureLists = _CLASSES["Features"], _CLASSES["FeatureLists"]
SequenceExample = _CLASSES["SequenceExample"]
