"""The same range test through lrax and through its peers: what `finder_peers.py` runs, each library in a process of its own."""
