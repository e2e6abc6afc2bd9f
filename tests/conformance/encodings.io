>> {
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> }
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> [
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> nul
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> tru
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"a"}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"a":}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"a":1,}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> [1,]
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {'a':1}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> 01
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> +1
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> .5
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> 1.
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> "	"
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> "\x"
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> "\u12"
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {} {}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {}x
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> // c
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": NaN}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": Infinity}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": -Infinity}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": 1e999}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": -1e999}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "\ud800"}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "\udc00"}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "\udc00\ud800"}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": ["\ud800x"]}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": {"\ud800": 1}}
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching ^Parse error>", "...": 0}}

on unix http
>>hex 7b226a736f6e727063223a2022322e30222c20226d6574686f64223a20227270632e6d6574686f6473222c20226964223a20312c202278223a2022ff227d
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching UTF-8>", "...": 0}}

on unix http
>>hex 7b226a736f6e727063223a2022322e30222c20226d6574686f64223a20227270632e6d6574686f6473222c20226964223a20312c202278223a2022c0af227d
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching UTF-8>", "...": 0}}

on unix http
>>hex 7b226a736f6e727063223a2022322e30222c20226d6574686f64223a20227270632e6d6574686f6473222c20226964223a20312c202278223a2022eda080227d
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching UTF-8>", "...": 0}}

on unix http
>>hex 7b226a736f6e727063223a2022322e30222c20226d6574686f64223a20227270632e6d6574686f6473222c20226964223a20312c202278223a2022f4908080227d
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching UTF-8>", "...": 0}}

on unix http
>>hex 7b226a736f6e727063223a2022322e30222c20226d6574686f64223a20227270632e6d6574686f6473222c20226964223a20312c202278223a202280227d
<< {"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "<matching UTF-8>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "\ud83d\ude00"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "😀"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "é"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "‮"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "\u0000"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": "\/\b\f\n\r\t\"\\"}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": 1e22}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": -0.0}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": 12345678901234567890123}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": {"deep": [[[[[[{}]]]]]]}}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "rpc.methods", "id": 1, "x": {"a": 1, "a": 2}}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>>   {"jsonrpc":"2.0" , "method" : "rpc.methods","id":1}   
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"id": 1, "params": {}, "method": "rpc.methods", "jsonrpc": "2.0", "more": [1]}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "m\u0065thod": "rpc.methods", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "result": ["<each>", "<text>"]}

>> {"jsonrpc": "2.0", "method": "", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "RPC.METHODS", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.methods ", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "rpc.nothing", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "__class__", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "peers", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}

>> {"jsonrpc": "2.0", "method": "\u0000", "id": 1}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "<matching ^Method not found>", "...": 0}}
