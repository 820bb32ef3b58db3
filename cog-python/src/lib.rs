//! From cog.yaml to a graph.
