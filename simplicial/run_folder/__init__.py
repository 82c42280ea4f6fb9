"""Run folders: what is finished stays, and a run goes on from there."""
