>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 0}
<< {"jsonrpc": "2.0", "id": 0, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": -1}
<< {"jsonrpc": "2.0", "id": -1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1.5}
<< {"jsonrpc": "2.0", "id": 1.5, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": ""}
<< {"jsonrpc": "2.0", "id": "", "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": "a"}
<< {"jsonrpc": "2.0", "id": "a", "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": "\u00e9"}
<< {"jsonrpc": "2.0", "id": "\u00e9", "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": "1"}
<< {"jsonrpc": "2.0", "id": "1", "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": null}
<< {"jsonrpc": "2.0", "id": null, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 9007199254740993}
<< {"jsonrpc": "2.0", "id": 9007199254740993, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 123456789012345678901234567890}
<< {"jsonrpc": "2.0", "id": 123456789012345678901234567890, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"}
<< {"jsonrpc": "2.0", "id": "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii", "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1e3}
<< {"jsonrpc": "2.0", "id": 1000.0, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": true}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` is a string, a number or null>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": false}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` is a string, a number or null>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": []}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` is a string, a number or null>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": {}}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` is a string, a number or null>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": [1]}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` is a string, a number or null>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": {"a": 1}}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` is a string, a number or null>", "...": 0}}

// a long id
>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": "{8192*i}"}
<< {"jsonrpc": "2.0", "id": "<matching ^i{8192}$>", "result": "<array>"}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": "{8193*i}"}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `id` has at most>", "...": 0}}

>> {"jsonrpc": "2.0", "method": 5, "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `method` must be a string>", "...": 0}}

>> {"jsonrpc": "1.0", "method": "rpc.methods", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `jsonrpc` must be>", "...": 0}}

>> {"method": "rpc.methods", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `jsonrpc` must be>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `method` must be a string>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": 5, "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": "text", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": true, "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": 0, "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "method": "rpc.methods", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching stands twice>", "...": 0}}

>> {"jsonrpc": "2.0", "method": 5, "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `method` must be a string>", "...": 0}}

>> {"jsonrpc": "1.0", "method": "rpc.methods", "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `jsonrpc` must be>", "...": 0}}

>> {"method": "rpc.methods", "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `jsonrpc` must be>", "...": 0}}

>> {"jsonrpc": "2.0", "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `method` must be a string>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": 5, "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": "text", "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": true, "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": 0, "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "method": "rpc.methods", "id": "x"}
<< {"jsonrpc": "2.0", "id": "x", "error": {"code": -32600, "message": "<matching stands twice>", "...": 0}}

>> {"jsonrpc": "2.0", "method": 5, "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `method` must be a string>", "...": 0}}

>> {"jsonrpc": "1.0", "method": "rpc.methods", "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `jsonrpc` must be>", "...": 0}}

>> {"method": "rpc.methods", "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `jsonrpc` must be>", "...": 0}}

>> {"jsonrpc": "2.0", "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `method` must be a string>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": 5, "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": "text", "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": true, "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "params": 0, "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "method": "rpc.methods", "id": null}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "<matching stands twice>", "...": 0}}

>> {"jsonrpc": "2.0", "jsonrpc": "2.0", "method": "rpc.methods", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching stands twice>", "...": 0}}
