"""What JupyterLab's sidebar asks: routes over the journal, the board and the network."""
