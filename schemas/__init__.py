"""The contracts: Avro schemas, their codecs and typed Python side, headers, ids, errors and metric names."""
