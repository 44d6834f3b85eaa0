"""The one description of a network that training, cost, quantisation and export share. No framework in here."""
