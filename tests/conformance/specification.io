// The examples of section 7 of the specification, with methods that every daemon has.
>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": [], "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": {}, "id": 2}
<< {"jsonrpc": "2.0", "id": 2, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": null, "id": 3}
<< {"jsonrpc": "2.0", "id": 3, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": {"not": "taken"}, "id": 4}
<< {"jsonrpc": "2.0", "id": 4, "result": ["<each>", "<text>"]}

// a notification
>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": [1, 2, 3, 4, 5]}

>> {"jsonrpc": "2.0", "method": "foobar"}

// a method that does not exist
>> {"jsonrpc": "2.0", "method": "foobar", "id": "1"}
<< {"jsonrpc": "2.0", "id": "1", "error": {"code": -32601, "message": "<matching ^Method not found>", "data": {"hint": "<text>", "...": 0}}}

// invalid JSON
>> {"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

// an invalid request object
>> {"jsonrpc": "2.0", "method": 1, "params": "bar"}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}

// an invalid batch
>> [{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> []
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}

>> [1]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}]

>> [1,2,3]
<< [{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}]

>> [{"jsonrpc": "2.0", "method": "rpc.methods", "id": "1"}, {"jsonrpc": "2.0", "method": "rpc.methods"}, {"jsonrpc": "2.0", "method": "rpc.methods", "params": [], "id": "2"}, {"foo": "boo"}, {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"}, {"jsonrpc": "2.0", "method": "rpc.methods", "id": "9"}]
<< [{"jsonrpc": "2.0", "id": "1", "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": "2", "result": ["<each>", "<text>"]}, {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching ^Invalid Request>", "...": 0}}, {"jsonrpc": "2.0", "id": "5", "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}, {"jsonrpc": "2.0", "id": "9", "result": ["<each>", "<text>"]}]

// a batch of notifications
>> [{"jsonrpc": "2.0", "method": "rpc.methods"}, {"jsonrpc": "2.0", "method": "foobar", "params": [7]}]
