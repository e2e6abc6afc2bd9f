import pimd_features.groups.membership as m
import pimd_features.groups.taking as t

old = m._take


def _take(turn, chain, src, record):
    placed = []
    orig = chain.take

    def tk(r):
        p = orig(r)
        placed.append(p.place.name)
        return p

    chain.take = tk
    old(turn, chain, src, record)
    del chain.take
    print("TAKE at", turn.own.short, "from", src.short, "number", record.number, record.hash.hex()[:6], placed)


m._take = _take
oldt = t._take


def tt(turn, parcel, said):
    print("  at", turn.own.short, "from", parcel.peer.short, said.kind.name)
    return oldt(turn, parcel, said)


t._take = tt
