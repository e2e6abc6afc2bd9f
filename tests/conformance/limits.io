// values in one message
>> [{60000*[],}1]
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching at most 50000 values>", "data": {"limit": 50000}}}

>> {200000*[}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "{1000000*x}"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "{100000*m}", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^.{1,2000}$>", "data": "<object>"}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": {4000*9}}
<< {"jsonrpc": "2.0", "id": "<integer>", "result": "<array>"}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": {5000*9}}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching too many digits>", "...": 0}}
