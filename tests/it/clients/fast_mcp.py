"""FastMCP as an MCP client: makes the round that `real_clients.rs` asks of every client, and prints what it saw as one
line of JSON.

Arguments: the era (`legacy`, `modern`), and the server's program or address. The round stands in the variable `ROUND`. The
server runs in the current folder and gets `HOME` as it is.
"""

import json
import os
import sys
from contextlib import AsyncExitStack

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp import MCPError
from mcp.client.subscriptions import listen


async def main(era: str, where: str) -> None:
    asked = json.loads(os.environ["ROUND"])
    notify, notified = anyio.create_memory_object_stream(16)

    async def on_message(message: object) -> None:
        if getattr(message, "method", None) == "notifications/tools/list_changed":
            await notify.send(message)

    server = where
    if not where.startswith("http://"):
        server = StdioTransport(where, ["run"], env={"HOME": os.environ["HOME"]}, keep_alive=False)
    # `auto` is what it does unless told otherwise: it asks which revisions the server speaks and takes the newest.
    mode = "legacy" if era == "legacy" else "auto"
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(server, mode=mode, message_handler=on_message))
        changes = notified
        if era == "modern":
            # It has no word of its own for subscriptions; its session is the SDK's, which has.
            changes = await stack.enter_async_context(listen(client.session, tools_list_changed=True))

        async def tools() -> list[str]:
            return [tool.name for tool in await client.list_tools()]

        async def changed() -> list[str]:
            await anext(aiter(changes))
            return await tools()

        # It makes Python types of output schemas and reads structured content as these; what does not fit it logs to
        # standard error, where the test wants nothing.
        async def call(name: str, arguments: dict) -> dict:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            seen = {
                "content": [{"type": block.type, "text": block.text} for block in result.content],
                "isError": result.is_error,
            }
            if result.structured_content is not None:
                assert result.data is not None or result.is_error, name
                seen["structuredContent"] = result.structured_content
            return seen

        report = {"server": client.server_info.name, "offered": await tools()}
        report["results"] = [await call(name, arguments) for name, arguments in asked["calls"]]
        # Falling back to the other era would go unnoticed.
        assert (client.protocol_version >= "2026") == (era == "modern"), client.protocol_version
        try:
            await client.call_tool("unknown", {})
        except MCPError as error:
            report["unknown"] = error.error.code
        report["load"] = (await call(*asked["load"]))["isError"]
        report["loaded"] = await changed()
        report["unload"] = (await call(*asked["unload"]))["isError"]
        report["unloaded"] = await changed()
    print(json.dumps(report))


async def bounded(*arguments: str) -> None:
    # What never comes must fail the test, not hold it up.
    with anyio.fail_after(60):
        await main(*arguments)


anyio.run(bounded, *sys.argv[1:])
