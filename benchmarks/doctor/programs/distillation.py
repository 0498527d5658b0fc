import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16.0, y, test_size=0.3, random_state=seed)
X_train, X_test = torch.tensor(X_train).float(), torch.tensor(X_test).float()
y_train, y_test = torch.tensor(y_train), torch.tensor(y_test)

teacher = nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Dropout(0.2), nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 10))
student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

teacher_opt = torch.optim.Adam(teacher.parameters(), lr=2e-3)
teacher.train()
for epoch in range(12):
    for idx in torch.randperm(len(X_train)).split(64):
        teacher_opt.zero_grad()
        F.cross_entropy(teacher(X_train[idx]), y_train[idx]).backward()
        teacher_opt.step()

teacher.eval()
T, alpha = 3.0, 0.7
student_opt = torch.optim.Adam(student.parameters(), lr=8e-3)
for epoch in range(20):
    for idx in torch.randperm(len(X_train)).split(64):
        with torch.no_grad():
            soft = F.softmax(teacher(X_train[idx]) / T, dim=1)
        logits = student(X_train[idx])
        kd = F.kl_div(F.log_softmax(logits / T, dim=1), soft, reduction="batchmean") * T * T
        hard = F.cross_entropy(logits, y_train[idx])
        loss = alpha * kd + (1 - alpha) * hard
        student_opt.zero_grad()
        loss.backward()
        student_opt.step()

student.eval()
with torch.no_grad():
    print("score", (student(X_test).argmax(1) == y_test).float().mean().item())
