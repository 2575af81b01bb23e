"""Labelling: projects, a queue for several annotators, agreement, adjudication, weak labels, doubtful labels, Label Studio."""

from wares.data.labels.agreement import Agreement, Annotator, measure
from wares.data.labels.book import LabelBook, Landed, Project
from wares.data.labels.kinds import KINDS, Kind
from wares.data.labels.queue import Queue
from wares.data.labels.resolve import adjudicate, adjudicate_all, disputes, labels
from wares.data.labels.weak import Rule, star_rules, weak_labels

__all__ = [
    "KINDS",
    "Agreement",
    "Annotator",
    "Kind",
    "LabelBook",
    "Landed",
    "Project",
    "Queue",
    "Rule",
    "adjudicate",
    "adjudicate_all",
    "disputes",
    "labels",
    "measure",
    "star_rules",
    "weak_labels",
]
