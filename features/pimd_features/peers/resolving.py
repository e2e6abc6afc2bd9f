"""`peers.resolve`: whom a text means that a person typed. Every command of `pim` asks here."""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pimd.contract import (
    CONFIG,
    KEYSTORE,
    MESH,
    DialInfo,
    NoParams,
    PeerNotFound,
    PluginContext,
    folded,
    hidden,
    reads_as_id,
    rpc,
)
from pimd.ids import NodeId
from pimd_features.peers.errors import PeerAmbiguous
from pimd_features.peers.models import Candidate, Count, Resolved, ResolveParams
from pimd_features.peers.nearby import nearby

SHOWN = 10
"""Candidates in an error."""
_DIGITS = re.compile(r"[0-9a-f]{8,32}")


@rpc("peers.resolve", errors=(PeerNotFound, PeerAmbiguous), reads=True)
async def resolve(ctx: PluginContext, params: ResolveParams) -> Resolved:
    """Tell whom a name or an id means: one node, or an error with the candidates in `data.candidates`.

    In this order: labels, contacts by their own names, ids and their first 8 digits or more, addresses where the scope has
    them, names of other nodes that were linked with this one, this node's own name. Several of one kind are an error, and so
    is a label that is also the start of another node's id, or any of these that is also another node's configured address.
    Names are compared in NFC and without case. A name that a node gave itself means nobody when it
    reads as an id or holds letters that are not seen.
    """
    return _Search(ctx, params).result()


@rpc("peers.count", reads=True)
async def count(ctx: PluginContext, _: NoParams) -> Count:
    """Tell how many identities are known, reachable or not."""
    return Count(identities=ctx.services[KEYSTORE].count())


class _Search:
    """One text, and where it is looked up."""

    def __init__(self, ctx: PluginContext, params: ResolveParams) -> None:
        self._ctx = ctx
        self._params = params
        self._key = folded(params.name)
        self._keystore = ctx.services[KEYSTORE]
        self._mesh = ctx.services[MESH]
        self._dials = [dial for dial in self._mesh.dials() if dial.configured]

    def result(self) -> Resolved:
        if not self._key:
            raise self._nobody()
        labelled, by_id = self._labelled(), dict.fromkeys(self._by_id())
        unmet = [dial for dial in self._dials if dial.node_id is None and self._is_label(dial)]
        at = self._configured_at()
        if labelled or unmet:
            return self._of_label({**labelled, **by_id}, unmet, at)
        for found in (dict.fromkeys(self._keystore.index.contacts_called(self._key)), by_id):
            if found:
                return self._only(found, [dial for dial in at if dial.node_id not in found])
        if at:
            return self._configured(at[0])
        if self._is_written_as_address():
            return Resolved(address=self._params.address)
        met = self._met()
        if met:
            return self._only(met, [])
        if self._key and self._key == folded(self._ctx.services[CONFIG].node_name()):
            return self._node(self._ctx.identity.node_id)
        raise self._nobody()

    # --- where a text is looked up

    def _labelled(self) -> dict[NodeId, None]:
        configured = [dial.node_id for dial in self._dials if dial.node_id is not None and self._is_label(dial)]
        return dict.fromkeys([*self._keystore.index.labelled(self._key), *configured])

    def _is_label(self, dial: DialInfo) -> bool:
        # The user's own label takes the place of the configured one.
        replaced = dial.node_id is not None and self._keystore.label(dial.node_id) is not None
        return not replaced and folded(dial.entry.label) == self._key

    def _by_id(self) -> Iterator[NodeId]:
        digits = self._params.name.strip().lower()
        if not _DIGITS.fullmatch(digits):
            return
        if len(digits) == 2 * NodeId.SIZE:
            yield NodeId.parse(digits)
            return
        yield from self._keystore.index.starting_with(digits)
        dialled = (dial.node_id for dial in self._dials if dial.node_id is not None)
        others = [self._ctx.identity.node_id, *self._mesh.destinations(), *dialled, *self._nearby_ids()]
        yield from (node_id for node_id in others if node_id.hex().startswith(digits))

    def _met(self) -> dict[NodeId, None]:
        """Names that nodes gave themselves: of those met on a link, and for a pairing of those nearby."""
        announced = [
            node.node_id
            for node in (nearby(self._ctx) if self._params.scope == "nearby" else ())
            if node.node_id is not None and self._is_called(node.node_id, node.name)
        ]
        return dict.fromkeys([*self._keystore.index.met_called(self._key), *announced])

    def _heard_of(self) -> list[NodeId]:
        """Nodes with a route that are known by their card only, and call themselves so."""
        return [node_id for node_id in self._mesh.destinations() if self._is_called(node_id, None)]

    def _is_called(self, node_id: NodeId, announced: str | None) -> bool:
        known = self._keystore.get(node_id)
        name = known.name if known is not None and known.name else announced or ""
        if name.isascii():  # there may be 20 000 of them
            return " ".join(name.lower().split()) == self._key and not reads_as_id(name)
        return folded(name) == self._key and not hidden(name) and not reads_as_id(name)

    def _nearby_ids(self) -> Iterator[NodeId]:
        if self._params.scope == "nearby":
            yield from (node.node_id for node in nearby(self._ctx) if node.node_id is not None)

    def _configured_at(self) -> list[DialInfo]:
        """Return the one configured address that the text is, if any."""
        wanted = self._params.address
        if wanted is None or self._params.scope == "known":
            return []
        return [dial for dial in self._dials if wanted in (dial.entry.endpoint.text, str(dial.entry.endpoint))]

    def _is_written_as_address(self) -> bool:
        """A stranger may announce any name, even the address of a trusted machine."""
        is_written_as_one = ":" in self._params.name or "." in self._params.name
        return self._params.address is not None and self._params.scope == "nearby" and is_written_as_one

    # --- what is answered

    def _of_label(self, ids: dict[NodeId, None], unmet: list[DialInfo], at: list[DialInfo]) -> Resolved:
        unmet = [*unmet, *(dial for dial in at if dial not in unmet and dial.node_id not in ids)]
        if ids or len(unmet) > 1:
            return self._only(ids, unmet)
        if self._params.scope == "known":
            where = unmet[0].entry.endpoint.text
            raise PeerNotFound(
                f"'{self._params.name}' is the label of {where}, where no node has answered yet; `pim peers` says why",
                {"candidates": [self._candidate_at(unmet[0])]},
            )
        return self._configured(unmet[0])

    def _only(self, ids: dict[NodeId, None], unmet: list[DialInfo]) -> Resolved:
        if len(ids) == 1 and not unmet:
            return self._node(next(iter(ids)))
        candidates = self._candidates(ids) + [self._candidate_at(dial) for dial in unmet[:SHOWN]]
        more = len(ids) + len(unmet) - len(candidates)
        raise PeerAmbiguous(
            f"'{self._params.name}' can mean several nodes; give the whole id, or a label of your own (peers.label)"
            f"{', or the address with its port' if self._params.address is not None else ''}",
            {"candidates": candidates, "more": more},
        )

    def _nobody(self) -> PeerNotFound:
        linked = [link.peer for link in self._mesh.links()]
        where, hint = "here", "`pim peers` lists whom this node knows; one that was never linked with it has an id only"
        if self._params.scope == "nearby":
            where, hint = (
                "nearby",
                "`pim discover` lists who is there, and anybody else is reached at an address such as 192.168.1.7:9100",
            )
        heard = self._heard_of()
        if heard:
            return PeerNotFound(
                f"nobody {where} is called '{self._params.name}' who was ever linked with this node; "
                "anybody can take a name, so give the id, if it is one of these",
                {"candidates": self._candidates(heard), "more": max(0, len(heard) - SHOWN)},
            )
        return PeerNotFound(
            f"nobody {where} is called '{self._params.name}'; {hint}",
            {"candidates": [], "linked": self._candidates(linked)},
        )

    def _candidates(self, ids: Iterable[NodeId]) -> list[dict[str, Any]]:
        return [
            Candidate(
                node_id=one.node_id, label=one.label, name=one.name, address=self._seen_at(one.node_id)
            ).model_dump(mode="json")
            for one in map(self._node, itertools.islice(ids, SHOWN))
        ]

    def _candidate_at(self, dial: DialInfo) -> dict[str, Any]:
        return Candidate(node_id=dial.node_id, label=dial.entry.label, address=dial.entry.endpoint.text).model_dump(
            mode="json"
        )

    def _seen_at(self, node_id: NodeId | None) -> str | None:
        link = self._mesh.link(node_id) if node_id is not None else None
        if link is not None:
            return link.endpoint.text
        there = nearby(self._ctx) if self._params.scope == "nearby" else ()
        return next((node.endpoint.text for node in there if node.node_id == node_id), None)

    def _node(self, node_id: NodeId) -> Resolved:
        known = self._keystore.get(node_id)
        labels = (dial.entry.label for dial in self._dials if dial.node_id == node_id)
        configured = next(filter(None, labels), "")
        label = self._keystore.label(node_id) or configured or None
        return Resolved(node_id=node_id, label=label, name=known.name if known is not None else None)

    def _configured(self, dial: DialInfo) -> Resolved:
        return Resolved(
            address=dial.entry.endpoint.text,
            config_entry_id=str(dial.entry.endpoint),
            label=dial.entry.label or None,
        )
