>> {"jsonrpc": "2.0", "id": 1, "method": "daemon.info"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"name": "<text>", "version": "<text>", "node_id": "<matching ^[0-9a-f]{32}$>", "data_dir": "<text>", "uptime_s": "<integer>", "features": ["<each>", "<text>"], "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"openrpc": "<matching ^1[.]>", "info": "<object>", "methods": ["<each>", {"name": "<text>", "params": "<array>", "result": "<object>", "...": 0}], "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.hello", "params": {"client": "a client/1"}}
<< {"jsonrpc": "2.0", "id": 1, "result": {"daemon": "<text>", "rpc_version": 1, "features": ["<each>", "<text>"]}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.list"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", {"name": "<text>", "state": "<matching ^(starting|running|stopping|disabled|not_built|failed|quarantined)$>", "reason": "<string or null>", "...": 0}]}

>> {"jsonrpc": "2.0", "id": 1, "method": "status"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"node_id": "<matching ^[0-9a-f]{32}$>", "peers": "<array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.list"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<array>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.count"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<object>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.configured"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<array>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.export_identity"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"node_id": "<matching ^[0-9a-f]{32}$>", "x25519_pubkey": "<matching ^[0-9a-f]{64}$>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get_broadcast_state"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<object>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.table"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"routes": "<array>", "gateways": "<array>"}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.list_conversations"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"conversations": "<array>"}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.strangers"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<object>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.list"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"groups": "<array>"}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.get"}
<< {"jsonrpc": "2.0", "id": 1, "result": {"format": "toml", "config": "<string>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.show"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<object>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.list"}
<< {"jsonrpc": "2.0", "id": 1, "result": "<array>"}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get", "params": {"node_id": "00000000000000000000000000000001"}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32010, "message": "<matching .>", "...": 0}}

on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unsubscribe"}
<< {"jsonrpc": "2.0", "id": 1, "result": null}

on http
>> {"jsonrpc": "2.0", "id": 1, "method": "peers.subscribe"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching connection that stays>", "...": 0}}

on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "messages.unsubscribe"}
<< {"jsonrpc": "2.0", "id": 1, "result": null}

on http
>> {"jsonrpc": "2.0", "id": 1, "method": "messages.subscribe"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching connection that stays>", "...": 0}}

on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "status.unsubscribe"}
<< {"jsonrpc": "2.0", "id": 1, "result": null}

on http
>> {"jsonrpc": "2.0", "id": 1, "method": "status.subscribe"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching connection that stays>", "...": 0}}

on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "logs.unsubscribe"}
<< {"jsonrpc": "2.0", "id": 1, "result": null}

on http
>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching connection that stays>", "...": 0}}

on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "groups.unsubscribe"}
<< {"jsonrpc": "2.0", "id": 1, "result": null}

on http
>> {"jsonrpc": "2.0", "id": 1, "method": "groups.subscribe"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching connection that stays>", "...": 0}}

// A place in a stream needs its epoch, and has to have been.
on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "status.subscribe", "params": {"since": 1}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter epoch>", "...": 0}}

on unix websocket
>> {"jsonrpc": "2.0", "id": 1, "method": "groups.subscribe", "params": {"since": 1000000, "epoch": "of another start"}}
<< {"jsonrpc": "2.0", "id": 1, "result": {"missed": null, "...": 0}}

// The wish for a gateway is granted without one.
>> {"jsonrpc": "2.0", "id": 1, "method": "route.set_split_default", "params": {"on": false}}
<< {"jsonrpc": "2.0", "id": 1, "result": {"on": false, "via_gateway_id": null}}
