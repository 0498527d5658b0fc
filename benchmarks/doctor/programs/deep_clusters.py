"""Deep embedded clustering: an autoencoder first, then clusters that sharpen themselves."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score

seed = int(sys.argv[1])
torch.manual_seed(seed)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16

encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
decoder = nn.Sequential(nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 64))
autoencoder = nn.Sequential(encoder, decoder)
optimizer = torch.optim.Adam(autoencoder.parameters(), lr=2e-3)
for epoch in range(20):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(autoencoder(x[rows]), x[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

with torch.no_grad():
    codes = encoder(x).nan_to_num()
centres = nn.Parameter(torch.tensor(KMeans(10, n_init=4, random_state=seed).fit(codes.numpy()).cluster_centers_))


def memberships(z):
    q = 1 / (1 + torch.cdist(z, centres).square())
    return q / q.sum(1, keepdim=True)


def sharpened(q):
    p = q**2 / q.sum(0)
    return p / p.sum(1, keepdim=True)


optimizer = torch.optim.Adam([*encoder.parameters(), centres], lr=5e-4)
for epoch in range(10):
    with torch.no_grad():
        target = sharpened(memberships(encoder(x)))
    for rows in torch.randperm(len(x)).split(64):
        q = memberships(encoder(x[rows]))
        loss = F.kl_div(q.log(), target[rows], reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

encoder.eval()
with torch.no_grad():
    found = memberships(encoder(x)).nan_to_num().argmax(1)
print("score", normalized_mutual_info_score(digits.target, found.numpy()))
