"""Writes the test models of the ONNX library, and what the library itself reads from them, into a folder.

usage: make.py FOLDER

  models/NAME.onnx   each model
  corpus.json        one record for each model, see Record in index.ts
  values.bin         the bytes of all inputs and expected outputs, which corpus.json points into
  operators.json     each version of each operator of the main domain, see Operator in index.ts
"""

import hashlib
import json
import pathlib
import sys
import warnings

import numpy
import onnx
from onnx.backend.test.case.node import collect_testcases
from onnx.numpy_helper import from_array

# Some cases divide by zero on purpose.
warnings.simplefilter('ignore')


def main(folder):
    (folder / 'models').mkdir(parents=True)
    records = []
    with open(folder / 'values.bin', 'wb') as values:
        for case in collect_testcases(None):
            data = bytes(case.model.SerializeToString())
            sets = [{'inputs': [value(v, values) for v in i], 'outputs': [value(v, values) for v in o]} for i, o in case.data_sets]
            records.append(record(folder, case.name, data) | {'rtol': case.rtol, 'atol': case.atol, 'sets': sets})
    library = pathlib.Path(onnx.__file__).parent / 'backend' / 'test' / 'data'
    for file in sorted(library.rglob('*.onnx')):
        name = '_'.join(file.relative_to(library).with_suffix('').parts)
        records.append(record(folder, name, file.read_bytes()))
    with open(folder / 'corpus.json', 'w') as out:
        json.dump(records, out)
    with open(folder / 'operators.json', 'w') as out:
        json.dump([operator(s) for s in onnx.defs.get_all_schemas_with_history() if s.domain == ''], out)


def record(folder, name, data):
    model = onnx.load_model_from_string(data)
    file = folder / 'models' / f'{name}.onnx'
    file.write_bytes(data)
    constants = {t.name for t in model.graph.initializer} | {s.values.name for s in model.graph.sparse_initializer}
    return {
        'name': name,
        'irVersion': model.ir_version,
        'opsets': {o.domain: o.version for o in model.opset_import},
        'inputs': [binding(v) for v in model.graph.input if v.name not in constants],
        'outputs': [binding(v) for v in model.graph.output],
        'initializers': [initializer(t) for t in model.graph.initializer],
        'types': types(model),
    }


def types(model):
    try:
        graphs = [onnx.shape_inference.infer_shapes(model).graph]
    except onnx.shape_inference.InferenceError:
        return None
    found = []
    # The order of scopesOf in graph.ts.
    for graph in graphs:
        known = {v.name: kind(v.type) for v in [*graph.value_info, *graph.output]}
        names = [name for node in graph.node for name in node.output]
        found.append([[name, known[name]] for name in names if known.get(name)])
        for attribute in (a for node in graph.node for a in node.attribute):
            graphs.extend([attribute.g] if attribute.HasField('g') else [])
            graphs.extend(attribute.graphs)
    return found


def kind(t):
    field = t.WhichOneof('value')
    if field == 'tensor_type':
        return t.tensor_type.elem_type
    if field in ('sequence_type', 'optional_type'):
        inner = kind(getattr(t, field).elem_type)
        return inner and {field.removesuffix('_type'): inner}
    return None


def operator(schema):
    return {
        'name': schema.name,
        'since': schema.since_version,
        'deprecated': schema.deprecated,
        'attributes': {a.name: {'required': a.required, 'default': default(a)} for a in schema.attributes.values()},
        'inputs': [parameter(i) for i in schema.inputs],
        'outputs': [parameter(o) for o in schema.outputs],
        'types': {c.type_param_str: list(c.allowed_type_strs) for c in schema.type_constraints},
    }


def binding(info):
    kind = info.type.WhichOneof('value')
    if kind != 'tensor_type':
        return {'name': info.name, 'kind': kind}
    tensor = info.type.tensor_type
    dims = [dim(d) for d in tensor.shape.dim] if tensor.HasField('shape') else None
    return {'name': info.name, 'kind': kind, 'code': tensor.elem_type, 'dims': dims}


def dim(d):
    if d.HasField('dim_value'):
        return d.dim_value if d.dim_value >= 0 else None
    return d.dim_param or None


def initializer(t):
    digest = hashlib.sha256(t.raw_data).hexdigest() if len(t.raw_data) else None
    return {'name': t.name, 'code': t.data_type, 'dims': list(t.dims), 'sha256': digest}


def default(attribute):
    return str(onnx.helper.get_attribute_value(attribute.default_value)) if attribute.default_value.type else None


def parameter(p):
    return {'name': p.name, 'type': p.type_str, 'option': p.option.name, 'homogeneous': p.is_homogeneous}


def value(v, out):
    if v is None:
        return None
    if isinstance(v, (list, tuple)):
        return [value(item, out) for item in v]
    tensor = v if isinstance(v, onnx.TensorProto) else from_array(numpy.asarray(v))
    if tensor.data_type == onnx.TensorProto.STRING:
        return {'code': tensor.data_type, 'dims': list(tensor.dims), 'strings': [s.decode() for s in tensor.string_data]}
    # Elements of less than a byte and typed lists come out as raw little-endian bytes.
    data = tensor.raw_data if tensor.HasField('raw_data') else from_array(onnx.numpy_helper.to_array(tensor)).raw_data
    offset = out.tell()
    out.write(data)
    return {'code': tensor.data_type, 'dims': list(tensor.dims), 'offset': offset, 'length': len(data)}


main(pathlib.Path(sys.argv[1]))
