>> [{"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

// in order
>> [{"jsonrpc": "2.0", "method": "rpc.methods", "id": 0}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 2}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 3}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 4}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 5}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 6}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 7}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 8}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 9}]
<< [{"jsonrpc": "2.0", "id": 0, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 2, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 3, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 4, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 5, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 6, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 7, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 8, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 9, "result": ["<each>", "<text>"]}]

// the same id twice
>> [{"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [null, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [true, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> ["text", {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [5, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [[], {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [[[]], {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [{}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [{"jsonrpc": "2.0"}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}]

>> [{"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}, {"jsonrpc": "2.0", "method": "nothing", "id": 2}]
<< [{"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}]

// too many
>> [{100*1,}1]
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching at most 100 members>", "data": {"limit": 100}}}

>> [{99*1,}1]
<< ["<each>", {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}]
