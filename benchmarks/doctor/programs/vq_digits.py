"""A quantised autoencoder: each digit becomes four codes from a book of 32."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))


class Quantizer(nn.Module):
    def __init__(self, codes=32, dim=8, beta=0.25):
        super().__init__()
        self.book = nn.Embedding(codes, dim)
        nn.init.uniform_(self.book.weight, -0.5, 0.5)
        self.beta = beta

    def forward(self, z):
        flat = z.reshape(-1, z.shape[-1])
        nearest = torch.cdist(flat, self.book.weight).argmin(1)
        q = self.book(nearest).view_as(z)
        loss = F.mse_loss(q, z.detach()) + self.beta * F.mse_loss(z, q.detach())
        return z + (q - z).detach(), loss


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
        self.quantizer = Quantizer()
        self.decoder = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        z = self.encoder(x).view(len(x), 4, 8)
        q, loss = self.quantizer(z)
        return self.decoder(q.flatten(1)), loss


images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
images = images[torch.randperm(len(images))]
train_images, test_images = images[:1400], images[1400:]
model = VQVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(25):
    model.train()
    for batch in torch.utils.data.DataLoader(train_images, batch_size=50, shuffle=True):
        rebuilt, codebook_loss = model(batch)
        loss = F.mse_loss(rebuilt, batch) + codebook_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    error = F.mse_loss(model(test_images)[0], test_images)
    trivial = F.mse_loss(train_images.mean(0).expand_as(test_images), test_images)
print("score", (1 - error / trivial).item())
