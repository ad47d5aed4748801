"""The contract with the central server, written from the code: AsyncAPI, OpenAPI, JSON Schemas, examples, vectors."""
