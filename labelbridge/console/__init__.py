"""The console and its HTTP API: what operators and pipelines use all day, in one web application."""
