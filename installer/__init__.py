"""The terminal installer and dashboard; of chatmail it may import `chatmail.api` and nothing else."""
