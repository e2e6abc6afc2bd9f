// Written by scripts/conformance from docs/openrpc.json: what each method answers to params that are not right.

>> {"jsonrpc": "2.0", "id": 1, "method": "config.get", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.get", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.get", "params": {"format": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.origins", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.origins", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": [null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter config: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": {"config": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": {"format": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": {"dry_run": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "config.save", "params": {"if_hash": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "daemon.info", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "daemon.info", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "daemon.shutdown", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "daemon.shutdown", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.disable", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.disable", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.disable", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter name: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.disable", "params": {"name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.disable", "params": {"persist": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.enable", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.enable", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.enable", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter name: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.enable", "params": {"name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.enable", "params": {"persist": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.enable", "params": {"reload": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.list", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "features.list", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.create", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.create", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.create", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter name: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.create", "params": {"name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.delete_history", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.delete_history", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.delete_history", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.delete_history", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.export", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.export", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.export", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.export", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.export", "params": {"cursor": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.history", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.history", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.history", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.history", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.history", "params": {"before": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.history", "params": {"limit": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.invite", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.invite", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.invite", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.invite", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.invite", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.invite", "params": {"may_change": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.join", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.join", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.join", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.join", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.leave", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.leave", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.leave", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.leave", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.list", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.list", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.remove", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.remove", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.remove", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.remove", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.remove", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.retention", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.retention", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.retention", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.retention", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.retention", "params": {"days": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.retention", "params": {"forever": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.send", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.send", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.send", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter group: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.send", "params": {"group": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.send", "params": {"body": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.subscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.subscribe", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.subscribe", "params": {"since": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.subscribe", "params": {"epoch": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.unsubscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.unsubscribe", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "groups.unsubscribe", "params": {"subscription_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.keep", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.keep", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.new", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.new", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.show", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "identity.show", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": [null, null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": {"min_level": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": {"levels": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": {"sources": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": {"since": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.subscribe", "params": {"epoch": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.unsubscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.unsubscribe", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "logs.unsubscribe", "params": {"subscription_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "mesh.status", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "mesh.status", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.delete_all", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.delete_all", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.delete_conversation", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.delete_conversation", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.delete_conversation", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter peer_node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.delete_conversation", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.export", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.export", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.export", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.export", "params": {"cursor": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": [null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter peer_node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": {"before_ts_ms": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": {"before_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.history", "params": {"limit": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.import", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.import", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.import", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter lines: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.import", "params": {"lines": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.import", "params": {"cursor": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.list_conversations", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.list_conversations", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.mark_read", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.mark_read", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.mark_read", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter peer_node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.mark_read", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.mark_read", "params": {"up_to_ts_ms": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.mark_read", "params": {"up_to_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.proof", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.proof", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.proof", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter message_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.proof", "params": {"message_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.retention", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.retention", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.retention", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter peer_node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.retention", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.retention", "params": {"days": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.retention", "params": {"forever": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": [null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter text: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": {"text": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": {"before_position": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.search", "params": {"limit": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": [null, null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter peer_node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": {"body": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": {"expires_s": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": {"receipt": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.send", "params": {"mailbox": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.session", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.session", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.session", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter peer_node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.session", "params": {"peer_node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.strangers", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.strangers", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.subscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.subscribe", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.subscribe", "params": {"since": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.subscribe", "params": {"epoch": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.unsubscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.unsubscribe", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "messages.unsubscribe", "params": {"subscription_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": [null, null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter old: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": {"old": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": {"new": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": {"label": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": {"address": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.accept", "params": {"move_messages": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.add_static", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.add_static", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.add_static", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter address: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.add_static", "params": {"address": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.add_static", "params": {"mechanism": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.add_static", "params": {"label": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.block", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.block", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.block", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.block", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.broadcast_identity_now", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.broadcast_identity_now", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.configured", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.configured", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.connect_dynamic", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.connect_dynamic", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.connect_dynamic", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.connect_dynamic", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.connect_dynamic", "params": {"address": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.count", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.count", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.discovered", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.discovered", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.export_identity", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.export_identity", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.export_identity", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.forget", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.forget", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.forget", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.forget", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.forget", "params": {"also_delete_messages": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get_broadcast_state", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.get_broadcast_state", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.import_identity", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.import_identity", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.import_identity", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.import_identity", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.import_identity", "params": {"x25519_pubkey": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.import_identity", "params": {"friendly_name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.label", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.label", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.label", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.label", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.label", "params": {"label": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.list", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.list", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.list", "params": {"all": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.list", "params": {"after": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.list", "params": {"limit": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": [null, null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter trust: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": {"trust": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": {"address": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": {"mechanism": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.pair", "params": {"label": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.remove", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.remove", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.remove", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.remove", "params": {"config_entry_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.resolve", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.resolve", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.resolve", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter name: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.resolve", "params": {"name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.resolve", "params": {"scope": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.resolve", "params": {"address": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.set_broadcast_config", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.set_broadcast_config", "params": [null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.set_broadcast_config", "params": {"outgoing_interval_s": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.set_broadcast_config", "params": {"watch_incoming": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.set_broadcast_config", "params": {"min_peer_interval_s": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.subscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.subscribe", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.subscribe", "params": {"since": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.subscribe", "params": {"epoch": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unblock", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unblock", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unblock", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unblock", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unsubscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unsubscribe", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "peers.unsubscribe", "params": {"subscription_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.set_split_default", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.set_split_default", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.set_split_default", "params": {"on": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.table", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.table", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.trace", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.trace", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.trace", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter node_id: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.trace", "params": {"node_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "route.trace", "params": {"timeout_s": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.authenticate", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.authenticate", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.authenticate", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter token: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.authenticate", "params": {"token": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.discover", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.hello", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.methods", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "rpc.methods", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.subscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.subscribe", "params": [null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.subscribe", "params": {"since": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.subscribe", "params": {"epoch": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.unsubscribe", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.unsubscribe", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "status.unsubscribe", "params": {"subscription_id": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": [null, null, null, null, null, null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter name: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {"name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {"methods": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {"streams": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {"read_only": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {"expires_s": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.create", "params": {"rate": 5}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.list", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.list", "params": [null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.revoke", "params": "wrong"}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "<matching `params` must be an object or an array>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.revoke", "params": [null, null]}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching too many parameters>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.revoke", "params": {}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching parameter name: is missing>", "...": 0}}

>> {"jsonrpc": "2.0", "id": 1, "method": "tokens.revoke", "params": {"name": {"wrong": "type"}}}
<< {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "<matching ^parameter >", "...": 0}}
