#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the golden bytes with Google's protobuf, an implementation that shares no code with ours.

Needs PyPI `protobuf`; reads the descriptors that `buf build` makes of the .proto files.
"""
import base64
import json
import pathlib
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def pool_of_contracts():
    """A pool with every message of proto/."""
    image = subprocess.run(["buf", "build", "-o", "-#format=binpb"], cwd=PACKAGE, check=True, capture_output=True).stdout
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
        pool.Add(file)
    return pool


def is_repeated(field):
    """Whether the field is a list or a map; newer releases of protobuf removed `label`."""
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def vector_json(message):
    """The message in the JSON of vectors: proto names, only what is on the wire, no special form for well-known types."""
    result = {}
    for field, value in message.ListFields():
        entry = field.message_type is not None and field.message_type.GetOptions().map_entry
        if entry:
            result[field.name] = {str(key): value[key] for key in value}
        elif is_repeated(field):
            result[field.name] = [scalar(field, item) for item in value]
        else:
            result[field.name] = scalar(field, value)
    return result


def scalar(field, value):
    """One value of a field."""
    if field.message_type is not None:
        return vector_json(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return str(value)
    if field.type == field.TYPE_BYTES:
        return base64.b64encode(value).decode()
    return value


def main():
    """Prints each difference; the exit status says whether there was one."""
    pool = pool_of_contracts()
    failures = 0
    count = 0
    for path in sorted((PACKAGE / "src/testdata/golden").glob("*.json")):
        for case in json.loads(path.read_text()):
            count += 1
            data = bytes.fromhex(case["hex"])
            cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(case["type"]))
            message = cls.FromString(data)
            if vector_json(message) != case["json"] or message.SerializeToString(deterministic=True) != data:
                failures += 1
                print(f"{path.name}: {case['type']}: {case['hex']}", file=sys.stderr)
    print(f"{count} golden messages, {failures} failed")
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main())
