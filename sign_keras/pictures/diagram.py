"""How a model is built, read off the model itself: its layers, what goes from which to which, and of what shape.

Keras's own ``plot_model`` draws such a graph too, but only with the Graphviz program, which pip does not bring.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from sign_keras.models.layers import FrameWise

MASK_INPUT = "frame_mask"
MOST_INSIDE = 4  # layers of a nested model that are named


@dataclass(frozen=True)
class Box:
    """A layer of a model, or several alike that follow each other.

    Attributes:
        layers: names, from input to output; more than one where boxes were put together.
        kind: their class.
        shapes: of the last one's outputs; None is the batch.
        parameters: of all of them.
        inside: what is in a layer that holds others; empty for others.
        is_layer: false for an operation without weights or settings, such as a sum.
    """

    layers: tuple[str, ...]
    kind: str
    shapes: tuple[tuple[int | None, ...], ...]
    parameters: int
    inside: str
    is_layer: bool

    @property
    def title(self) -> str:
        """Its names: of many, the first and the last."""
        if len(self.layers) <= 2:
            return ", ".join(self.layers)
        return f"{self.layers[0]} to {self.layers[-1]}"

    @property
    def what(self) -> str:
        """Its class, and how many."""
        return f"{len(self.layers)} x {self.kind}" if len(self.layers) > 1 else self.kind

    @property
    def shape(self) -> str:
        """Its outputs' shapes as text, ``B`` being the batch."""
        return ", ".join(
            " x ".join("B" if size is None else str(size) for size in shape) or "scalar" for shape in self.shapes
        )


@dataclass(frozen=True)
class Graph:
    """Boxes, and which gives to which.

    Attributes:
        boxes: each behind those that it takes from.
        edges: (place of the giver, place of the taker).
    """

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]


def walk(model: keras.Model) -> Graph:
    """The graph of a functional model, layers that repeat put together.

    Which frames are real (``frame_mask``) goes to almost every layer: its lines are left out, and so are operations
    that do nothing but reckon with it. Every layer is there.
    """
    taken: dict[str, set[str]] = {operation.name: set() for operation in model.operations}
    for nodes in model._nodes_by_depth.values():  # of this model alone: layers may stand in others too
        for node in nodes:
            taken[node.operation.name] |= {tensor._keras_history.operation.name for tensor in node.input_tensors}
    of_mask = _of_mask(model.operations, taken)
    operations = _in_order(
        [
            operation
            for operation in model.operations
            if operation.name not in of_mask or isinstance(operation, keras.layers.Layer)
        ],
        taken,
    )
    places = {operation.name: place for place, operation in enumerate(operations)}
    edges = {
        (places[giver], places[operation.name])
        for operation in operations
        for giver in taken[operation.name]
        if giver not in of_mask and giver in places
    }
    return _together([_box(operation) for operation in operations], edges)


def _of_mask(operations: Iterable[Any], taken: dict[str, set[str]]) -> set[str]:
    """Names of the mask's input, and of what depends on nothing else."""
    found = {MASK_INPUT}
    for operation in _in_order(operations, taken):
        if (givers := taken[operation.name]) and givers <= found:
            found.add(operation.name)
    return found


def _in_order(operations: Iterable[Any], taken: dict[str, set[str]]) -> list[Any]:
    """Each behind those that it takes from, else as they come."""
    waiting, done = list(operations), []
    names = {operation.name for operation in waiting}
    reached: set[str] = set()
    while waiting:
        ready = next(operation for operation in waiting if taken[operation.name] & names <= reached)
        waiting.remove(ready)
        done.append(ready)
        reached.add(ready.name)
    return done


def _box(operation: Any) -> Box:
    shapes = tuple(tuple(tensor.shape) for tensor in keras.tree.flatten(operation.output))
    is_layer = isinstance(operation, keras.layers.Layer)
    parameters = operation.count_params() if is_layer and operation.built else 0
    return Box((operation.name,), type(operation).__name__, shapes, parameters, _inside(operation), is_layer)


def _inside(operation: Any) -> str:
    if isinstance(operation, FrameWise):
        return f"on each frame: {_inside(operation.inner) or type(operation.inner).__name__}"
    if isinstance(operation, keras.layers.Bidirectional):
        return f"{type(operation.forward_layer).__name__}, both ways"
    if isinstance(operation, keras.Model):
        layers = [layer for layer in operation.layers if not isinstance(layer, keras.layers.InputLayer)]
        named = [
            f"{layer.name} ({len(layer.layers)} layers)" if isinstance(layer, keras.Model) else layer.name
            for layer in layers
        ]
        if len(named) > MOST_INSIDE:
            return f"{len(named)} layers, {named[0]} to {named[-1]}"
        return ", ".join(named)
    return ""


def _together(boxes: Sequence[Box], edges: set[tuple[int, int]]) -> Graph:
    """Puts a box into the one before where kind, size and shape are the same, and nothing else lies between."""
    target = list(range(len(boxes)))
    merged = dict(enumerate(boxes))
    for place, box in enumerate(boxes):
        givers = [giver for giver, taker in edges if taker == place]
        if len(givers) != 1 or not box.is_layer:
            continue
        [giver] = givers
        alike = replace(boxes[giver], layers=box.layers) == box
        if alike and sum(source == giver for source, _ in edges) == 1:
            into = target[giver]
            target[place] = into
            before = merged[into]
            merged[into] = replace(
                before, layers=before.layers + box.layers, parameters=before.parameters + box.parameters
            )
            del merged[place]
    places = {old: new for new, old in enumerate(merged)}
    kept = {(places[target[a]], places[target[b]]) for a, b in edges if target[a] != target[b]}
    return Graph(tuple(merged.values()), tuple(sorted(kept)))


@dataclass(frozen=True)
class Layout:
    """Where boxes stand, on a grid.

    Attributes:
        rows: of each box, from 0 at the top.
        columns: of each box; 0 is the longest way through the model, others are to its right.
        routes: for each edge, the (row, column) of all its corners, both ends included.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    routes: tuple[tuple[tuple[int, int], ...], ...]


def arrange(graph: Graph) -> Layout:
    """Puts each box below all that it takes from, the longest way straight down, and lines beside what they pass.

    In outline the layered drawing of Sugiyama et al. 1981, https://doi.org/10.1109/TSMC.1981.4308636, for graphs
    that are nearly chains: columns are dealt greedily, row by row.
    """
    rows = [0] * len(graph.boxes)
    for giver, taker in sorted(graph.edges, key=lambda edge: edge[1]):
        rows[taker] = max(rows[taker], rows[giver] + 1)
    trunk = _longest_way(graph, rows)
    columns: dict[int, int] = dict.fromkeys(trunk, 0)
    used = {(rows[place], 0) for place in trunk}
    for place in sorted(set(range(len(graph.boxes))) - set(trunk), key=lambda place: (rows[place], place)):
        givers = [columns[giver] for giver, taker in graph.edges if taker == place and giver in columns]
        column = max(min(givers, default=1), 1)
        while (rows[place], column) in used:
            column += 1
        columns[place] = column
        used.add((rows[place], column))
    routes = []
    for giver, taker in graph.edges:
        passed = range(rows[giver] + 1, rows[taker])
        column = columns[giver]
        while any((row, column) in used for row in passed):
            column += 1
        used |= {(row, column) for row in passed}
        corners = [(rows[giver], columns[giver]), *((row, column) for row in passed), (rows[taker], columns[taker])]
        routes.append(tuple(corners))
    return Layout(tuple(rows), tuple(columns[place] for place in range(len(graph.boxes))), tuple(routes))


def _longest_way(graph: Graph, rows: Sequence[int]) -> list[int]:
    """Boxes of the longest way from an input to the lowest box."""
    place = max(range(len(rows)), key=lambda place: rows[place])
    way = [place]
    while givers := [
        giver for giver, taker in graph.edges if taker == way[-1] and rows[giver] == rows[way[-1]] - 1
    ]:
        way.append(max(givers, key=lambda giver: graph.boxes[giver].parameters))
    return way[::-1]
