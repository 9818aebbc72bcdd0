"""What a process tells of itself: metrics, traces, health.

Off unless it is asked for: no port is opened without `telemetry.port`, and no trace is made without
OpenTelemetry's own `OTEL_*` variables. What counts and traces costs a call of an empty function then.
"""
