"""OpenLineage events (https://openlineage.io, spec 1.x) for every new version: to a file, or over HTTP when configured."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from wares.core.config import LineageConfig
from wares.core.registry import ROWS, Asset, Edge, Registry, Version
from wares.data.lineage.origin import DIRECT
from wares.data.registry.tables import SOURCE

PRODUCER = "https://github.com/wares/wares"
FILE = "openlineage.jsonl"


class Emitter:
    """Writes run events of new versions. The file grows by one line an event; sending never breaks the work that it tells of."""

    def __init__(self, root: Path, config: LineageConfig) -> None:
        self.root, self.config = root, config
        self.path = root / "state" / FILE

    def emit(self, registry: Registry, versions: list[Version]) -> int:
        """One COMPLETE event a version; returns how many. Without the package (extra `govern`) nothing is told."""
        try:
            from openlineage.client import OpenLineageClient
        except ModuleNotFoundError:
            return 0
        client = OpenLineageClient(transport=self._transport())
        for version in versions:
            client.emit(self.event(registry, version))
        client.close()
        return len(versions)

    def _transport(self) -> Any:
        if self.config.url:
            from openlineage.client.transport.http import HttpConfig, HttpTransport

            return HttpTransport(
                HttpConfig.from_dict({"type": "http", "url": self.config.url, "timeout": 5.0})
            )
        from openlineage.client.transport.file import FileConfig, FileTransport

        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileTransport(FileConfig(log_file_path=str(self.path), append=True))

    def event(self, registry: Registry, version: Version) -> Any:
        """The event of one version: its inputs, and its schema, column lineage, version and counts as facets."""
        from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import (
            data_quality_metrics_dataset,
            dataset_version_dataset,
            output_statistics_output_dataset,
            ownership_dataset,
        )

        asset = registry.find(version.asset) or Asset(version.asset, "table")
        edges = [
            e for e in registry.edges() if (e.to_asset, e.to_version) == (version.asset, version.version)
        ]
        facets: dict[str, Any] = {
            "schema": _schema(asset),
            "columnLineage": self._columns(edges),
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(
                datasetVersion=str(version.version)
            ),
        }
        if version.rows is not None:
            facets["dataQualityMetrics"] = data_quality_metrics_dataset.DataQualityMetricsDatasetFacet(
                columnMetrics={}, rowCount=version.rows
            )
        if asset.owner:
            facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(
                owners=[ownership_dataset.Owner(name=asset.owner)]
            )
        statistics = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=version.rows
            )
        }
        inputs = sorted({e.from_asset for e in edges if e.from_asset != version.asset})
        return RunEvent(
            eventTime=datetime.fromisoformat(version.at).isoformat(),
            eventType=RunState.COMPLETE,
            run=Run(runId=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.root}/{version.asset}/{version.version}"))),
            job=Job(namespace=self._namespace(), name=f"{version.action}.{version.asset}"),
            inputs=[InputDataset(*self._place(name)) for name in inputs],
            outputs=[
                OutputDataset(self._namespace(), version.asset, facets=facets, outputFacets=statistics if version.rows is not None else {})
            ],
            producer=PRODUCER,
        )  # fmt: skip

    def _namespace(self) -> str:
        return self.config.namespace

    def _place(self, name: str) -> tuple[str, str]:
        return ("file", name.removeprefix(SOURCE)) if name.startswith(SOURCE) else (self._namespace(), name)

    def _columns(self, edges: list[Edge]) -> Any:
        from openlineage.client.facet_v2 import column_lineage_dataset as facet

        fields: dict[str, list[Any]] = defaultdict(list)
        whole: list[Any] = []
        for edge in sorted(edges):
            kind = facet.Transformation(
                type="DIRECT" if edge.kind in DIRECT else "INDIRECT",
                subtype=edge.kind.upper(),
                description=edge.via,
            )
            space, name = self._place(edge.from_asset)
            field = facet.InputField(
                namespace=space, name=name, field=edge.from_column, transformations=[kind]
            )
            (whole if edge.to_column == ROWS else fields[edge.to_column]).append(field)
        return facet.ColumnLineageDatasetFacet(
            fields={name: facet.Fields(inputFields=found) for name, found in fields.items()}, dataset=whole
        )


def _schema(asset: Asset) -> Any:
    from openlineage.client.facet_v2 import schema_dataset

    return schema_dataset.SchemaDatasetFacet(
        fields=[
            schema_dataset.SchemaDatasetFacetFields(
                name=c["name"], type=c["type"], description=c["description"] or None
            )
            for c in asset.columns
        ]
    )
