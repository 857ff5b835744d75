-- Programs register again what is forgotten.
DROP TABLE rpc_instances;
