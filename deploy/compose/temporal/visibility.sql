-- Run once, when PostgreSQL makes its data directory: Temporal keeps what lists and searches need apart.
CREATE DATABASE temporal_visibility;
