"""Airflow's operators, sensor and triggers for Labelbridge (extra `airflow`).

Import `labelbridge.airflow.operators` and `labelbridge.airflow.sensors` in DAG files; only there is Airflow
installed. This package itself imports nothing.
"""
