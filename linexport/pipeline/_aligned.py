"""Inputs of a graph and features of a reference, matched by name."""

from linexport.formats import onnx
from linexport.model import LinearModel
from linexport.pipeline._opening import Artifact
from linexport.sources import names_of

__all__ = ["aligned"]

_NOTE = "The file's inputs were matched with the reference's features by name."


def aligned(artifact: Artifact, model: LinearModel) -> tuple[Artifact, tuple[str, ...]]:
    """Return a file whose inputs are listed in the order of a model's features, and a note of it.

    A graph of several inputs is fed by name, so in which order it lists them means nothing. It is
    the file as it is where it lists them so already, or they have other names.

    Raises:
        NotCheckedError: If the file cannot be run here.
    """
    if artifact.format.name != "onnx":
        return artifact, ()
    inputs = onnx.graph_of(artifact.data).inputs
    named = {each.name: names_of(each.name, each.width or 0) for each in inputs}
    places = {name: place for place, name in enumerate(model.feature_names)}
    order = sorted(
        named, key=lambda name: min((places.get(n, -1) for n in named[name]), default=-1)
    )
    found = tuple(name for each in order for name in named[each])
    if found != model.feature_names or order == list(named):
        return artifact, ()
    return artifact._replace(data=onnx.relisted(artifact.data, order)), (_NOTE,)
