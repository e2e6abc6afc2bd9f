"""One link between two nodes, sans-IO (docs/protocol.md): feed it bytes and time, take bytes and events.

After any call the driver flushes `data_to_send`, half-closes when `wants_half_close`, and sets its timer to `deadline`.
"""

import enum
from collections import deque
from collections.abc import Callable, Hashable

from pimd.ids import NodeId
from pimd.limits import Bites
from pimd.proto import link_states as states
from pimd.proto.class_queues import ClassCounts, OnDropped
from pimd.proto.control import (
    Goodbye,
    GoodbyeReason,
    Ping,
    PluginPayload,
    Pong,
    Rekey,
    UnknownControl,
    UnsignedPeerInfo,
)
from pimd.proto.errors import LocalProtocolError, RemoteProtocolError, SameKey
from pimd.proto.fair_queue import Encoded
from pimd.proto.frames import CardsCutShort, Frame, Heartbeat, MeshData, UnknownFrame, decode_frame, encode_frame
from pimd.proto.handshake import MESSAGE_LIMIT, Handshake, LinkConfig, LinkPeer, cipher_of, preamble
from pimd.proto.identity import Identity
from pimd.proto.link_events import (
    Authenticated,
    Closed,
    FrameReceived,
    Leaving,
    LinkEvent,
    PeerSaidGoodbye,
    RecordTaken,
    Up,
)
from pimd.proto.link_states import TRANSITIONS, CloseReason, State, reason_of
from pimd.proto.pings import Pings
from pimd.proto.rates import RateMeter
from pimd.proto.records import LENGTH, Incoming, RecordReader, RecordWriter
from pimd.proto.send_queue import SendQueue, SendQueueOverflow
from pimd.proto.traffic import CLASS_OF_FLAGS, TrafficClass

_PREAMBLE_SIZE = 4
_OF_RECORDS = frozenset({State.UP, State.LEAVING})
_RECORD_TAKEN = RecordTaken()


class Role(enum.Enum):
    """Who opened the connection."""

    DIALLER = "dialler"
    ACCEPTOR = "acceptor"


class Link:
    """The state machine of one link; `link_states.TRANSITIONS` lists the allowed changes of state."""

    def __init__(
        self,
        role: Role,
        identity: Identity,
        config: LinkConfig,
        random: Callable[[int], bytes],
        now: float,
        bites: Bites | None = None,
    ) -> None:
        self.peer: LinkPeer | None = None
        self.last_heard = now
        self.records_in = self.records_out = self.bytes_in = self.bytes_out = 0
        self.rates = RateMeter(now)
        self.unknown_frames = 0
        self.bites = bites or Bites()
        """Counts of reached limits, shared by all links of its owner."""
        self.is_replaced = False
        """This end closed it for another link of the peer, which may send on it until it reads the Goodbye."""
        self.goodbye_detail = self.goodbye_heard = b""
        """What this end's Goodbye says besides its reason, and what the peer's said."""
        self._identity, self._config, self._random = identity, config, random
        self._started = self._last_sent = now
        self._now = now
        """Of the newest bytes."""
        self._incoming = Incoming()
        self._out = bytearray()
        self._events: deque[LinkEvent] = deque()
        self._send_queue = SendQueue(self.bites, int.from_bytes(random(16)))
        self._has_unsent = False
        """Whether frames may wait in the queue."""
        self.pings = Pings(states.PING_S, now)
        self._leave_by = 0.0
        self._why_leaving = Closed(CloseReason.GOODBYE, "")
        self._handshake: Handshake | None = None
        self._writer: RecordWriter | None = None
        self._reader: RecordReader | None = None
        self._state = State.AWAIT_PREAMBLE if role is Role.ACCEPTOR else State.AWAIT_2
        if role is Role.DIALLER:
            self._handshake = Handshake(identity, config, config.cipher, random, dialler=True)
            self._out += preamble(config.cipher)
            self._frame_message(self._handshake.write_first())

    # --- what the driver reads

    @property
    def state(self) -> State:
        """The state that the link is in."""
        return self._state

    @property
    def wants_half_close(self) -> bool:
        """Whether to shut down the sending side once `data_to_send` is empty."""
        return self._state in states.ENDS and not self._out

    @property
    def unread(self) -> int:
        """Received bytes that are not parsed: part of a record, or what came before the owner decided."""
        return len(self._incoming)

    @property
    def dropped_cards(self) -> int:
        """Cards dropped because the peer reads too slowly."""
        return self._send_queue.dropped_cards

    @property
    def counts(self) -> tuple[ClassCounts, ...]:
        """Counts of the data frames for this link, by `TrafficClass`."""
        return tuple(queue.counts for queue in self._send_queue.data.by_class)

    def watch_drops(self, on_dropped: OnDropped) -> None:
        """Tell of each data frame that was queued here and will not be sent."""
        self._send_queue.data.watch(on_dropped)

    def next_event(self) -> LinkEvent | None:
        """Return the oldest event not taken yet, opening at most one record for it; None when nothing is left."""
        if not self._events and self._parse_one() and not self._events:
            return _RECORD_TAKEN
        if self._events:
            return self._events.popleft()
        self._compact()
        return None

    def deadline(self) -> float | None:
        """Return when `tick` must be called next."""
        if self._state is State.CLOSED:
            return None
        if self._state is State.LEAVING:
            return self._leave_by
        if self._state is State.UP:
            return min(self._last_sent + states.HEARTBEAT_S, self.last_heard + states.SILENCE_S, self.pings.next_at)
        limit = states.PREAMBLE_S if self._state is State.AWAIT_PREAMBLE else states.HANDSHAKE_S
        return self._started + limit

    def data_to_send(self, now: float, limit: int = 1 << 62) -> bytearray:
        """Return bytes for the stream, encrypting frames until `limit` is reached."""
        if self._has_unsent and self._state is State.UP and self._writer is not None:
            while self._has_unsent and len(self._out) < limit:
                plaintext = self._send_queue.pop(now)
                if plaintext is not None:
                    self._write_record(self._writer, plaintext, now)
                self._has_unsent = plaintext is not None
        data, self._out = self._out, bytearray()
        self.bytes_out += len(data)
        return data

    # --- what the stream brings

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Take bytes in any slices; records are opened by `next_event`."""
        self.bytes_in += len(data)
        if not self._reads_on:
            return
        self._incoming.append(data)
        self._now = now
        self._parse_eagerly()

    def eof_received(self, now: float) -> None:
        """Take the end of what the peer sends."""
        del now
        if self._state is State.LEAVING:
            self._close(self._why_leaving)
        else:
            self._close(Closed(CloseReason.LOST, "the peer closed the connection"))

    def connection_lost(self, now: float) -> None:
        """Take the end of the stream in both directions."""
        self.eof_received(now)

    def tick(self, now: float) -> None:
        """Apply what is due at `now`: timeouts and periodic frames."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return
        if self._state is State.LEAVING:
            self._close(self._why_leaving)
        elif self._state is not State.UP:
            self._close(Closed(CloseReason.TIMED_OUT, f"waited too long for {self._state.value}"))
        elif now >= self.last_heard + states.SILENCE_S:
            self._close(Closed(CloseReason.TIMED_OUT, f"nothing heard for {states.SILENCE_S:g} s"))
        else:
            self._keep_alive(now)

    # --- what the owner says

    def accept(self, now: float) -> None:
        """Admit the peer of `Authenticated`."""
        handshake = self._deciding()
        if self._state is State.DECIDE_2:
            self._frame_message(handshake.write_proof())
            self._begin_records(handshake, now)
            self._go(State.AWAIT_RECORD)
        else:
            self._begin_records(handshake, now)
            self._come_up(now)
        self._parse_eagerly()

    def refuse(self, reason: GoodbyeReason, now: float) -> None:
        """Turn the peer away; a dialler gives up before message 3, an acceptor says why."""
        handshake = self._deciding()
        why = Closed(CloseReason.REFUSED, reason.name.lower().replace("_", " "))
        if self._state is State.DECIDE_2:
            self._close(why)
        else:
            self._begin_records(handshake, now)
            self._leave(reason, why, now)

    def send(self, frame: Frame, now: float, source: Hashable = "") -> bool:
        """Queue one frame; False, with nothing queued, when the link is not up or a data frame finds no room.

        `source` names the flow of a data frame among those that begin at this node.
        """
        if self._state is not State.UP:
            return False
        try:
            queued = self._send_queue.put(frame, now, source)
        except SendQueueOverflow:
            self._overflow()
            return False
        self._last_sent = now
        self._has_unsent = True
        return queued

    def send_encoded(self, traffic_class: TrafficClass, frame: bytearray, now: float, source: Hashable) -> bool:
        """Queue a Data frame that is encoded already, as `send` does."""
        self._has_unsent = True
        return self._state is State.UP and self._send_queue.data.put_own(traffic_class, source, frame, now)

    def relay(self, frame: MeshData, neighbour: NodeId, now: float) -> None:
        """Queue a frame of `neighbour` that this node relays; without room the biggest flow loses a frame."""
        if self._state is State.UP:
            self._has_unsent = True
            self._send_queue.relay(frame, neighbour, now)
        else:
            self.counts[CLASS_OF_FLAGS[frame.flags]].lost += 1

    def answer(self, frame: Frame, now: float) -> None:
        """Queue what the peer asked for; a peer that does not read its answers loses the link."""
        if self._state is State.UP:
            self._last_sent = now
            self._has_unsent = True
            try:
                self._send_queue.put_answer(frame)
            except SendQueueOverflow:
                self._overflow()

    def ping(self, now: float) -> int:
        """Ask for a sign of life, and return the nonce of the Pong that is one."""
        nonce = int.from_bytes(self._random(8))
        self.pings.sent(nonce, now)
        self.answer(Ping(nonce), now)
        return nonce

    def has_room(self, traffic_class: TrafficClass) -> bool:
        """Whether any data frame of this node would be queued; after False, `room_made` reports the class."""
        return self._state is State.UP and self._send_queue.data.has_room(traffic_class)

    @property
    def is_awaited(self) -> bool:
        """Whether `room_made` may return a class."""
        return self._send_queue.data.is_awaited

    def room_made(self) -> list[TrafficClass]:
        """Return, once, the classes in which a sender was refused and that have drained since."""
        return self._send_queue.data.room_made()

    def close(self, reason: GoodbyeReason, now: float) -> None:
        """Say Goodbye, if the handshake got that far, and end."""
        why = Closed(CloseReason.GOODBYE, reason.name.lower().replace("_", " "))
        if self._state in {State.UP, State.AWAIT_RECORD}:
            self.is_replaced = reason is GoodbyeReason.DUPLICATE
            self._leave(reason, why, now)
        elif self._state not in states.ENDS:
            self._close(why)

    # --- parsing

    def _parse_eagerly(self) -> None:
        """Go through the handshake, three messages at most; records have their own time."""
        while self._state not in _OF_RECORDS and self._parse_one():
            pass
        if self._state not in _OF_RECORDS:
            self._compact()

    def _parse_one(self) -> bool:
        """Take one message; False when no whole one is there."""
        try:
            message = self._next_message()
            if message is not None:
                self._take(message, self._now)
        except RemoteProtocolError as error:
            self._fail(error, self._now)
            return False
        return message is not None

    def _compact(self) -> None:
        if self._reads_on:
            self._incoming.compact()
        else:
            self._incoming.clear()

    @property
    def _reads_on(self) -> bool:
        return self._state not in states.ENDS or (self._state is State.LEAVING and self.is_replaced)

    def _next_message(self) -> bytes | None:
        """Return the next message of the handshake, or the plaintext of the next record."""
        if not self._reads_on or self._state in {State.DECIDE_2, State.DECIDE_3}:
            return None
        if self._reader is not None:
            return self._incoming.record(self._reader)
        if self._state is State.AWAIT_PREAMBLE:
            return self._incoming.cut(_PREAMBLE_SIZE)
        return self._incoming.message(MESSAGE_LIMIT)

    def _take(self, message: bytes, now: float) -> None:
        if self._reader is not None:
            self._take_record(message, now)
        elif self._state is State.AWAIT_PREAMBLE:
            self._handshake = Handshake(self._identity, self._config, cipher_of(message), self._random, dialler=False)
            self._go(State.AWAIT_1)
        elif self._handshake is None:
            raise LocalProtocolError("a handshake message without a handshake")
        elif self._state is State.AWAIT_1:
            self._handshake.read_first(message)
            self._frame_message(self._handshake.write_proof())
            self._go(State.AWAIT_3)
        else:
            self.peer = self._handshake.read_proof(message)
            self._events.append(Authenticated(self.peer))
            self._go(State.DECIDE_2 if self._state is State.AWAIT_2 else State.DECIDE_3)

    def _take_record(self, plaintext: bytes, now: float) -> None:
        self.last_heard = now
        self.records_in += 1
        try:
            frame = decode_frame(plaintext)
        except CardsCutShort as error:
            if error.whole.cards:
                self._come_up(now)
                self._events.append(FrameReceived(error.whole))
            raise
        if self._state is State.LEAVING:
            self._take_late(frame)
            return
        if isinstance(frame, Goodbye):
            self._take_goodbye(frame, now)
            return
        self._come_up(now)
        if isinstance(frame, MeshData | PluginPayload):
            kind = CLASS_OF_FLAGS[frame.flags] if isinstance(frame, MeshData) else TrafficClass.MESSAGE
            self._count_in(kind, plaintext)
            self._events.append(FrameReceived(frame))
        else:
            self._take_control(frame, now)

    def _take_control(self, frame: Frame | UnknownFrame | UnknownControl, now: float) -> None:
        match frame:
            case UnknownFrame() | UnknownControl():
                self.unknown_frames += 1
            case UnsignedPeerInfo():
                pass
            case Ping(nonce):
                self.answer(Pong(nonce), now)
            case Pong(nonce):
                self.pings.answered(nonce, now)
            case Rekey() if self._reader is not None:
                self._reader.rekeyed()
            case _:
                self._events.append(FrameReceived(frame))

    def _count_in(self, traffic_class: TrafficClass, plaintext: bytes) -> None:
        counts = self._send_queue.data.by_class[traffic_class].counts
        counts.frames_in += 1
        counts.bytes_in += len(plaintext)

    def _take_late(self, frame: Frame | UnknownFrame | UnknownControl) -> None:
        """Take only the data that the peer sent before it read the Goodbye."""
        match frame:
            case Rekey() if self._reader is not None:
                self._reader.rekeyed()
            case MeshData() | PluginPayload():
                self._events.append(FrameReceived(frame))

    def _take_goodbye(self, frame: Goodbye, now: float) -> None:
        if self.peer is None or frame.departing != self.peer.node_id:
            self.unknown_frames += 1
            return
        self.goodbye_heard = frame.detail
        self._events.append(PeerSaidGoodbye(frame.reason))
        why = Closed(CloseReason.GOODBYE, f"the peer: {frame.reason.name.lower().replace('_', ' ')}")
        self._send_queue.clear()
        self._linger(why, now)

    # --- changes of state

    def _go(self, state: State) -> None:
        if state not in TRANSITIONS[self._state]:
            raise LocalProtocolError(f"a link cannot go from {self._state.name} to {state.name}")
        self._state = state

    def _deciding(self) -> Handshake:
        if self._state not in {State.DECIDE_2, State.DECIDE_3} or self._handshake is None:
            raise LocalProtocolError("there is no decision to take on this link")
        return self._handshake

    def _begin_records(self, handshake: Handshake, now: float) -> None:
        send, receive = handshake.split()
        self._writer = RecordWriter(send, self._config.rekey, now)
        self._reader = RecordReader(receive)
        self._handshake = None

    def _come_up(self, now: float) -> None:
        if self._state in {State.DECIDE_3, State.AWAIT_RECORD}:
            self._go(State.UP)
            self._last_sent = self.last_heard = now
            self.pings.put_off(now)
            self._events.append(Up())

    def _fail(self, error: RemoteProtocolError, now: float) -> None:
        why = Closed(reason_of(error), str(error))
        if self._state is State.UP:
            self._leave(GoodbyeReason.PROTOCOL_ERROR, why, now)
        else:
            if isinstance(error, SameKey) and self._handshake is not None:
                self.peer = self._handshake.peer
                if self._state is State.AWAIT_2:
                    self._frame_message(self._handshake.write_proof())  # so that the other process learns of it, too
            self._close(why)

    def _leave(self, reason: GoodbyeReason, why: Closed, now: float) -> None:
        self._send_queue.clear()
        if self._writer is not None:
            goodbye = encode_frame(Goodbye(self._identity.node_id, reason, self.goodbye_detail))
            self._write_record(self._writer, goodbye, now)
        self._linger(why, now)

    def _linger(self, why: Closed, now: float) -> None:
        if self._state is State.UP:
            self._events.append(Leaving(f"{why.reason.value}: {why.detail}"))
        self._go(State.LEAVING)
        self._why_leaving = why
        self._leave_by = now + states.LINGER_S

    def _close(self, why: Closed) -> None:
        if self._state is State.CLOSED:
            return
        self._go(State.CLOSED)
        self._send_queue.clear()
        self._events.append(why)

    def _overflow(self) -> None:
        self._close(Closed(CloseReason.OVERFLOW, "more waits for it than a link may hold"))

    # --- sending

    def _frame_message(self, message: bytes) -> None:
        self._out += LENGTH.pack(len(message)) + message

    def _write_record(self, writer: RecordWriter, plaintext: Encoded, now: float) -> None:
        self._out += writer.write(plaintext)
        self.records_out += 1
        if writer.wants_rekey(now) and self._state is State.UP:
            self._out += writer.write(encode_frame(Rekey()))
            self.records_out += 1
            writer.rekeyed(now)

    def _keep_alive(self, now: float) -> None:
        if now >= self.pings.next_at:
            self.pings.put_off(now)
            self.rates.sample(self.bytes_in, self.bytes_out, now)
            if self._send_queue.unsent_control == 0:  # else what waits must not grow
                self.ping(now)
        if now >= self._last_sent + states.HEARTBEAT_S:
            if self._send_queue.unsent == 0:
                self.answer(Heartbeat(self._config.unix_ms()), now)
            self._last_sent = now
