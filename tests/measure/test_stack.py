"""Call graphs and disassemblies of a few lines, added up by hand."""

import pytest

from microzoo.errors import MeasurementError
from microzoo.measure.stack import Frame, deepest, frames_of_call_graph, frames_of_disassembly, with_aliases

GRAPH = """graph: { title: "model.c"
node: { title: "invoke" label: "invoke\\nmodel.c:1:1\\n16 bytes (static)" }
node: { title: "model.c:small" label: "small\\nmodel.c:2:1\\n24 bytes (static)" }
node: { title: "model.c:big" label: "big\\nmodel.c:3:1\\n80 bytes (static)" }
node: { title: "memcpy" label: "__builtin_memcpy\\n<built-in>" shape : ellipse }
edge: { sourcename: "invoke" targetname: "model.c:small" label: "model.c:9:9" }
edge: { sourcename: "invoke" targetname: "model.c:big" label: "model.c:9:9" }
edge: { sourcename: "model.c:small" targetname: "memcpy" }
}
"""
DISASSEMBLY = """
00000100 <memcpy>:
     100:\te92d 4ff0 \tstmdb\tsp!, {r4, r5, r6, r7, r8, r9, sl, fp, lr}
     104:\ted2d 8b04 \tvpush\t{d8-d9}
     108:\tb083      \tsub\tsp, #12
     10a:\tf000 f801 \tbl\t110 <helper>
     10e:\te7f7      \tb.n\t104 <memcpy+0x4>

00000110 <helper>:
     110:\tf84d ed04 \tstr.w\tlr, [sp, #-4]!
     114:\tf5ad 7d00 \tsub.w\tsp, sp, #512\t@ 0x200
     118:\t4770      \tbx\tlr
"""


def test_frames_by_hand():
    own, library = frames_of_call_graph([GRAPH]), frames_of_disassembly(DISASSEMBLY)
    assert own["model.c:small"] == Frame(24, frozenset({"memcpy"})) and "memcpy" not in own
    assert library["memcpy"] == Frame(9 * 4 + 2 * 8 + 12, frozenset({"helper"}))
    assert library["helper"] == Frame(4 + 512, frozenset())
    # 16 + 24 + 64 + 516 through the library, against 16 + 80.
    assert deepest("invoke", library | own) == (620, ("invoke", "model.c:small", "memcpy", "helper"))


def test_aliases_share_a_frame():
    frames = with_aliases({"__divsi3": Frame(8, frozenset())}, "000006a0 T __aeabi_idiv\n000006a0 T __divsi3\n000006b0 T other\n")
    assert frames["__aeabi_idiv"] == Frame(8, frozenset()) and "other" not in frames


def test_what_has_no_bound_is_an_error():
    with pytest.raises(MeasurementError, match="a calls itself"):
        deepest("a", {"a": Frame(1, frozenset({"b"})), "b": Frame(1, frozenset({"a"}))})
    with pytest.raises(MeasurementError, match="nothing is known of the stack of __indirect_call, called by a"):
        deepest("a", {"a": Frame(1, frozenset({"__indirect_call"}))})
    with pytest.raises(MeasurementError, match="only known at run time"):
        frames_of_call_graph(['node: { title: "f" label: "f\\nm.c:1:1\\n16 bytes (dynamic)" }'])
