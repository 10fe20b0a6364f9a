"""The tables of a pipeline with their columns, as a tree that stays as a person has opened it."""

from collections.abc import Iterator, Sequence

from rich.text import Text
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from cli.output.text import clean
from runtime.wire.pipelines import DetailedPipelineResponse, TableResponse

Names = tuple[str, ...]
"""Of a node: schema, table, column; none of the root."""


class TableTree(Tree[Names]):
    """Built anew only when what it shows is another; then what is open and the cursor are found again by names."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__("no pipeline", (), id=id)
        self._pipeline: tuple[str, str] | None = None
        self._tables: list[TableResponse] = []

    def show(self, pipeline: DetailedPipelineResponse) -> None:
        """Show the tables of a pipeline."""
        shown = (pipeline.pipeline_name, pipeline.profile)
        if shown == self._pipeline and pipeline.tables == self._tables:
            return
        is_same = shown == self._pipeline
        is_open = {node.data: node.is_expanded for node in _below(self.root)} if is_same else {}
        at = self.cursor_node.data if is_same and self.cursor_node is not None else None
        self._pipeline, self._tables = shown, pipeline.tables
        self._build_anew(pipeline, is_open)
        if at is not None:
            self._put_cursor(at)

    def _build_anew(self, pipeline: DetailedPipelineResponse, is_open: dict[Names | None, bool]) -> None:
        self.clear()
        self.root.set_label(_plain(pipeline.pipeline_name))
        for schema, tables in _by_schema(pipeline.tables).items():
            node = self.root.add(_plain(schema), (schema,), expand=is_open.get((schema,), True))
            for table in tables:
                names = (schema, table.name)
                disposition = f"  ({table.write_disposition})" if table.write_disposition else ""
                nested = f"  (part of {table.parent})" if table.parent else ""
                label = _plain(f"{table.name}{disposition}{nested}")
                branch = node.add(label, names, expand=is_open.get(names, False))
                for column in table.columns:
                    said = [column.data_type, *(["key"] if column.primary_key else [])]
                    said += [] if column.nullable else ["not null"]
                    branch.add_leaf(_plain(f"{column.name}  {', '.join(said)}"), (*names, column.name))
        if is_open.get((), True):
            self.root.expand()

    def _put_cursor(self, names: Names) -> None:
        """On what has these names; where it is gone, on what it was part of."""
        nodes = {node.data: node for node in _below(self.root)}
        while names not in nodes:
            names = names[:-1]
        if self.last_line >= 0:  # asking for the last line counts the lines, without which no node has one
            self.move_cursor(nodes[names])


def _below(node: TreeNode[Names]) -> Iterator[TreeNode[Names]]:
    """A node and all below it."""
    yield node
    for child in node.children:
        yield from _below(child)


def _plain(text: str) -> Text:
    return Text(clean(text))


def _by_schema(tables: Sequence[TableResponse]) -> dict[str, list[TableResponse]]:
    """Own tables first, dlt's last."""
    schemas: dict[str, list[TableResponse]] = {}
    for table in sorted(tables, key=lambda one: (one.name.startswith("_dlt"), one.name)):
        schemas.setdefault(table.schema_name, []).append(table)
    return schemas
