"""A task whose first step runs at once; asyncio has this from Python 3.12 on, and for the tasks of a group from 3.14 on."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any


def start(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
    """Run until it waits or ends, as a task of its own that the group owns; called in a task, RuntimeError else.

    Most calls end in that step, which saves them a turn of the event loop.
    """
    loop: Any = asyncio.get_running_loop()
    outer = asyncio.current_task()
    if outer is None:
        raise RuntimeError("an eager task is started by another")
    steps: list[asyncio.Handle] = []

    def hold(callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        steps.append(asyncio.Handle(callback, args, loop, context))
        return steps[-1]

    loop.call_soon = hold  # a new task asks for its first step with it
    try:
        task = group.create_task(work, name=name)
    finally:
        del loop.call_soon
    asyncio.tasks._leave_task(loop, outer)  # noqa: SLF001 - documented for loops
    try:
        for step in steps:
            step._run()  # noqa: SLF001 - as the loop does
    finally:
        asyncio.tasks._enter_task(loop, outer)  # noqa: SLF001 - as above
    return task
