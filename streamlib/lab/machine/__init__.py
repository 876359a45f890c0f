"""What runs on this machine for the notebooks: server, workers, the scripted LLM; their processes.

Reading order: `processes`, `binary`, `server`, `workers`, `scripted`.
"""
