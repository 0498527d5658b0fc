import sys
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))
images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
images = images[torch.randperm(len(images))]
train_images, test_images = images[:1200], images[1200:]
corrupt = lambda x: (x + 0.4 * torch.randn_like(x)).clamp(0, 1)

denoiser = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(),
    nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
    nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
    nn.Conv2d(24, 1, 3, padding=1),
)
optimizer = torch.optim.Adam(denoiser.parameters(), lr=8e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(6):
    for clean in torch.randperm(1200).split(40):
        clean = train_images[clean]
        restored = denoiser(corrupt(clean))
        loss = bce(restored, clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
denoiser.eval()
with torch.no_grad():
    noisy = corrupt(test_images)
    before = (noisy - test_images).pow(2).mean()
    after = (denoiser(noisy).sigmoid() - test_images).pow(2).mean()
print("score", (1 - after / before).item())
