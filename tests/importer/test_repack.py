"""A file with a plan of its own: everything else as it was, the same outputs in both runtimes, the head that was promised."""

import json
import time
from itertools import permutations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from microzoo.errors import MeasurementError
from microzoo.importer.order import best_order, reordered
from microzoo.importer.place import ALIGNMENT, MOST_MEETINGS, _blocks, _bound, _meetings, _pairs, place
from microzoo.importer.repack import SECONDS, planned, repack
from microzoo.importer.repack_child import rewrite
from microzoo.measure.activations import lifetimes, peak_bytes, planned_bytes
from microzoo.measure.arena import measure_arena
from microzoo.measure.tflite_file import TfliteModel, TfliteOp, TfliteTensor, parse_tflite

from ..measure.files import rewritten  # noqa: TID252  # tests are no package with a name
from .runs import images, outputs
from .tf_like import TfModel, branches, corners, mobile


def float_model() -> bytes:
    """Not int8, with operators that only TFLM knows: it is planned all the same."""
    m = TfModel(3)
    x = m.tensor((1, 6, 6, 2), dtype=np.float32)
    a = m.op("TANH", [x], m.tensor((1, 6, 6, 2), dtype=np.float32))
    b = m.op("LOGISTIC", [x], m.tensor((1, 6, 6, 2), dtype=np.float32))
    return m.data([x], [m.op("MUL", [a, b], m.tensor((1, 6, 6, 2), dtype=np.float32), "MulOptions")])


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {**corners(), "softmax": mobile(), "branches": branches(), "float": float_model()}


def without_child(commands, what, seconds) -> list[str]:
    """What the child does, in this process: only its limits and its start are left out."""
    ((_, _, module, source, plan, target, _),) = commands
    assert (module, seconds) == ("microzoo.importer.repack_child", SECONDS) and what
    wanted = json.loads(plan.read_text())
    target.write_bytes(rewrite(source.read_bytes(), wanted["order"], wanted["offsets"]))
    return [""]


@pytest.fixture(scope="module")
def packed(files) -> dict[str, bytes]:
    """All but one without the child, whose start takes its time."""
    made = {"branches": repack(files["branches"], "branches.tflite")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microzoo.importer.repack.run_together", without_child)
        return made | {name: repack(data, f"{name}.tflite") for name, data in files.items() if name not in made}


def dump(value: object, depth: int = 0) -> object:
    """An object tree as plain data, operators as a set and without the memory plan."""
    if isinstance(value, np.ndarray | bytes | bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [dump(each, depth + 1) for each in value]
    return {key: dump(each, depth + 1) for key, each in vars(value).items()} if hasattr(value, "__dict__") else value


def test_everything_but_order_and_plan_is_kept(files, packed):
    for name in files:
        trees = []
        for data in (files[name], packed[name]):
            model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
            tree = dump(model)
            plans = [entry["buffer"] for entry in tree["metadata"] if entry["name"] == b"OfflineMemoryAllocation"]
            tree["metadata"] = [entry for entry in tree["metadata"] if entry["buffer"] not in plans]
            tree["buffers"] = [each for index, each in enumerate(tree["buffers"]) if index not in plans]
            tree["subgraphs"][0]["operators"] = sorted(map(repr, tree["subgraphs"][0]["operators"]))
            trees.append((tree, plans))
        assert trees[0][0] == trees[1][0], name
        assert (len(trees[0][1]), len(trees[1][1])) == (0, 1), name


def test_packing_twice_changes_nothing_more(packed, monkeypatch):
    monkeypatch.setattr("microzoo.importer.repack.run_together", without_child)
    for name, data in packed.items():
        assert repack(data, name) == data, name


def test_constants_are_aligned_to_sixteen_bytes(packed):
    for name, data in packed.items():
        root = schema.Model.GetRootAsModel(data, 0)
        start = np.frombuffer(data, np.uint8).ctypes.data
        for index in range(root.BuffersLength()):
            if not root.Buffers(index).DataIsNone():
                assert (root.Buffers(index).DataAsNumpy().ctypes.data - start) % 16 == 0, name


@pytest.mark.tflm
@pytest.mark.parametrize("kind", ["tflm", "litert"])
def test_outputs_are_identical(files, packed, tmp_path, kind):
    # LiteRT demands that a convolution has a bias; TFLM does not.
    names = [name for name in files if kind == "tflm" or "no bias" not in name]
    inputs = []
    for seed, name in enumerate(names):
        source = parse_tflite(files[name]).tensors[parse_tflite(files[name]).inputs[0]]
        x = images(source.shape[1:], 6, seed)
        inputs.append((x / 50).astype(np.float32) if source.dtype == "FLOAT32" else x)
    before, after = (outputs(kind, [each[name] for name in names], inputs, tmp_path) for each in (files, packed))
    assert [name for name, a, b in zip(names, before, after, strict=True) if not np.array_equal(a, b)] == []


@pytest.mark.tflm
def test_the_head_is_the_plan_and_less_than_before(files, packed, tmp_path):
    heads = {}
    for when, data in (("before", files["branches"]), ("after", packed["branches"])):
        (tmp_path / "m.tflite").write_bytes(data)
        heads[when] = measure_arena(tmp_path / "m.tflite").head_bytes
    # By hand: 8 x 8 maps of 4 (256 B), 32 (2,048 B) and 8 (512 B) channels. In file order both wide maps are live, and a
    # narrow one while it is made. In the best order one wide map is, with the narrow one before it and the one made of it.
    assert heads["before"] >= 2048 + 2048 + 512
    assert heads["after"] == planned_bytes(parse_tflite(packed["branches"])) == 512 + 2048 + 512


def random_model(seed: int) -> TfliteModel:
    """Up to 7 operators of one or two outputs over one or two inputs, some RESHAPE and ADD, sizes of any alignment."""
    rng = np.random.default_rng(seed)
    inputs = int(rng.integers(1, 3))
    sizes = [int(rng.choice([5, 16, 24])) for _ in range(inputs)]
    ops = []
    for _ in range(int(rng.integers(1, 8))):
        reads = tuple(rng.integers(0, len(sizes), 2).tolist())
        kind = str(rng.choice(["ADD", "RESHAPE", "CONV_2D", "SPLIT"]))
        if kind == "ADD" and sizes[reads[0]] != sizes[reads[1]]:
            kind = "CONV_2D"
        writes = tuple(range(len(sizes), len(sizes) + (2 if kind == "SPLIT" else 1)))
        reads = reads[: 2 if kind == "ADD" else 1]
        sizes += [sizes[reads[0]] if kind in ("ADD", "RESHAPE") else int(rng.choice([5, 16, 24])) for _ in writes]
        ops.append(TfliteOp(kind, reads, writes))
    tensors = tuple(TfliteTensor(f"t{i}", (1, size), "INT8", size, False, (), ()) for i, size in enumerate(sizes))
    return TfliteModel(tensors, tuple(ops), tuple(range(inputs)), (len(sizes) - 1,), None, 0)


def valid_orders(model: TfliteModel):
    """All topological orders."""
    for order in permutations(range(len(model.ops))):
        done = set(model.inputs)
        if all(set(model.ops[i].inputs) <= done and not done.update(model.ops[i].outputs) for i in order):
            yield order


def test_the_best_order_equals_brute_force():
    better = 0
    for seed in range(150):
        model = random_model(seed)
        found = peak_bytes(reordered(model, best_order(model, in_place=False)))
        best = min(peak_bytes(reordered(model, order)) for order in valid_orders(model))
        several = any(len(op.outputs) > 1 for op in model.ops)
        assert found == best or (several and best <= found <= peak_bytes(model)), seed
        better += found < peak_bytes(model)
    assert better > 20


@pytest.mark.parametrize("most", [MOST_MEETINGS, 0], ids=["by size", "in order"])
def test_placed_tensors_survive_a_simulated_run(monkeypatch, most):
    """Each tensor's bytes are written with its own number and must still stand there whenever it is read."""
    monkeypatch.setattr("microzoo.importer.place.MOST_MEETINGS", most)
    in_place = 0
    for seed in range(300):
        model = random_model(seed)
        order, placement = planned(model)
        run = reordered(model, order)
        arena = np.full(placement.total_bytes, -1)
        owner = {}  # tensor -> the number that stands in its bytes: views have that of their source
        last = {tensor: span[1] for tensor, span in lifetimes(run).items()}

        def write(tensor, number, arena=arena, placement=placement, model=model):
            start = placement.offsets[tensor]
            arena[start : start + model.tensors[tensor].bytes] = number

        for tensor in run.inputs:
            write(tensor, tensor)
            owner[tensor] = tensor
        for index, op in enumerate(run.ops):
            for tensor in op.inputs:
                start = placement.offsets[tensor]
                assert set(arena[start : start + model.tensors[tensor].bytes]) == {owner[tensor]}, (seed, index)
            for tensor in op.outputs:
                shares = [i for i in op.inputs if placement.offsets[i] == placement.offsets[tensor]]
                in_place += op.kind == "ADD" and bool(shares)
                assert not shares or op.kind in ("ADD", "RESHAPE"), seed
                owner[tensor] = owner[op.inputs[0]] if op.kind == "RESHAPE" else tensor
                write(tensor, owner[tensor])
            for tensor in owner:  # what is needed later is whole
                start = placement.offsets[tensor]
                if last[tensor] > index or tensor in run.outputs:
                    assert set(arena[start : start + model.tensors[tensor].bytes]) == {owner[tensor]}, (seed, index, tensor)
        assert all(offset % 16 == 0 for offset in placement.offsets)
        assert placement.total_bytes >= max(model.tensors[tensor].bytes for tensor in lifetimes(model))
    assert in_place > 20


def test_the_bound_and_the_pairs_equal_brute_force():
    for seed in range(100):
        model = random_model(seed)
        blocks, steps = _blocks(model), len(model.ops)
        bound = 0
        for step in range(steps):
            sizes = [block.size for block in blocks if block.first <= step <= block.last]
            gaps = [-size % ALIGNMENT for size in sizes]
            bound = max(bound, sum(sizes) + sum(gaps) - max(gaps))
        assert _bound(blocks, steps) == bound, seed
        assert _pairs(blocks, steps) == (sum(map(len, _meetings(blocks, steps))) - len(blocks)) // 2, seed


def chain(count: int) -> TfliteModel:
    """One operator after the other, with a sound plan."""
    tensors = tuple(TfliteTensor(f"t{i}", (1, 64), "INT8", 64, False, (), ()) for i in range(count + 1))
    ops = tuple(TfliteOp("LOGISTIC", (i,), (i + 1,)) for i in range(count))
    return TfliteModel(tensors, ops, (0,), (count,), tuple(i % 2 * 64 for i in range(count + 1)), 0)


def wide(count: int) -> TfliteModel:
    """All from the input, kept to one sum at the end."""
    tensors = tuple(TfliteTensor(f"t{i}", (1, 20), "INT8", 20, False, (), ()) for i in range(count + 2))
    ops = (
        *(TfliteOp("LOGISTIC", (0,), (i + 1,)) for i in range(count)),
        TfliteOp("CONCATENATION", tuple(range(1, count + 1)), (count + 1,)),
    )
    return TfliteModel(tensors, ops, (0,), (count + 1,), None, 0)


def test_long_and_wide_graphs_take_little_time():
    """Seconds of quadratic or unbounded work before, hundredths now; the bound leaves room for a slow machine."""
    started = time.process_time()
    assert planned_bytes(chain(2000)) == 128
    assert planned(chain(2000))[1].total_bytes == 128
    # 1,200 blocks of 20 bytes, each but the topmost takes 32: all of them and the result, or the input in its place.
    placement = place(wide(1200))
    assert placement.total_bytes == placement.peak_bytes == 1200 * 32 + 20
    assert peak_bytes(wide(9990)) == 9991 * 20
    with pytest.raises(MeasurementError, match=r"live for too long to be placed: .* give a model with fewer branches"):
        place(wide(9990))
    assert time.process_time() - started < 6


def test_an_input_is_never_written_over():
    t = tuple(TfliteTensor(f"t{i}", (1, 16), "INT8", 16, False, (), ()) for i in range(3))
    sums = (TfliteOp("RESHAPE", (0,), (1,)), TfliteOp("ADD", (1, 1), (2,)))
    placement = place(TfliteModel(t, sums, (0,), (2,), None, 0))
    assert placement.offsets[0] == placement.offsets[1] != placement.offsets[2]


def test_a_plan_that_is_there_is_replaced(packed):
    data = packed["branches"]
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    assert sum(entry.name == b"OfflineMemoryAllocation" for entry in model.metadata) == 1


@pytest.fixture(scope="module")
def two_plans(files) -> dict[str, bytes]:
    """The same file with both plans: the first puts all tensors at 0, the second is sound; and the other way round."""
    model = parse_tflite(files["branches"])
    good, bad = place(model).offsets, tuple(min(offset, 0) for offset in place(model).offsets)

    def file(*plans: tuple[int, ...]) -> bytes:
        def change(m):
            m.metadata = m.metadata or []
            for plan in plans:
                m.buffers.append(
                    schema.BufferT(data=np.frombuffer(np.array([1, 0, len(plan), *plan], "<i4").tobytes(), np.uint8))
                )
                m.metadata.append(schema.MetadataT(name=b"OfflineMemoryAllocation", buffer=len(m.buffers) - 1))

        return rewritten(files["branches"], change)

    return {"sound last": file(bad, good), "sound first": file(good, bad)}


def test_of_several_plans_the_last_counts_and_none_is_left_beside_ours(two_plans, packed, monkeypatch):
    assert planned_bytes(parse_tflite(two_plans["sound last"])) is not None
    with pytest.raises(MeasurementError, match="the memory plan overlaps"):
        planned_bytes(parse_tflite(two_plans["sound first"]))
    monkeypatch.setattr("microzoo.importer.repack.run_together", without_child)
    for name, data in two_plans.items():
        found = repack(data, name)
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(found, 0))
        assert sum(entry.name == b"OfflineMemoryAllocation" for entry in model.metadata) == 1, name
        assert parse_tflite(found).offline_offsets == parse_tflite(packed["branches"]).offline_offsets, name
        assert repack(found, name) == found, name


@pytest.mark.tflm
def test_tflm_obeys_the_last_plan(files, two_plans, tmp_path, monkeypatch):
    monkeypatch.setattr("microzoo.importer.repack.run_together", without_child)
    names = ["sound last", "sound first"]
    every = [files["branches"], *(two_plans[name] for name in names), *(repack(two_plans[name], name) for name in names)]
    x = images((8, 8, 4), 6, 0)
    plain, last, first, *after = outputs("tflm", every, [x] * 5, tmp_path)
    assert np.array_equal(plain, last) and not np.array_equal(plain, first)
    assert all(np.array_equal(plain, each) for each in after)


def test_variables_are_refused(files):
    data = rewritten(files["mobile"], lambda m: setattr(m.subgraphs[0].tensors[0], "isVariable", True))
    with pytest.raises(MeasurementError, match="it holds variables") as caught:
        repack(data, "v.tflite")
    assert "\n" not in str(caught.value)
